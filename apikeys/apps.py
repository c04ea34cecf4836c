"""Django's entry for the app."""

from django.apps import AppConfig


class ApikeysConfig(AppConfig):
    name = "apikeys"
    verbose_name = "API keys"

    def ready(self) -> None:
        # Registers what watches the model, and how the schema describes a key.
        from apikeys import records, schema  # noqa: F401
