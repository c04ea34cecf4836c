"""Django's entry for the app."""

from django.apps import AppConfig


class HooksConfig(AppConfig):
    name = "predictions.hooks"
