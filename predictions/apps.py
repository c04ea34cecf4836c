"""Django's entry for the app."""

from django.apps import AppConfig


class PredictionsConfig(AppConfig):
    name = "predictions"
