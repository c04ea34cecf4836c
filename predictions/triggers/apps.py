"""Django's entry for the app."""

from django.apps import AppConfig


class TriggersConfig(AppConfig):
    name = "predictions.triggers"

    def ready(self) -> None:
        # Registers what watches the flows.
        from predictions.triggers import of_flows  # noqa: F401
