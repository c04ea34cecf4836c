"""Django's entry for the app."""

from django.apps import AppConfig


class RetentionConfig(AppConfig):
    name = "predictions.retention"
