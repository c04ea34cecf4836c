"""Django's entry for the app."""

from django.apps import AppConfig


class ChatflowsConfig(AppConfig):
    name = "chatflows"

    def ready(self) -> None:
        # Registers what watches the models.
        from chatflows import deployments, records, vectors  # noqa: F401
