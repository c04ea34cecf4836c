"""Django's entry for the app."""

from django.apps import AppConfig


class ChatflowsConfig(AppConfig):
    name = "chatflows"

    def ready(self) -> None:
        # Registers what watches the model.
        from chatflows import records  # noqa: F401
