"""Django's entry for the app."""

from django.apps import AppConfig


class WorkspacesConfig(AppConfig):
    name = "workspaces"

    def ready(self) -> None:
        from workspaces import operators  # noqa: F401  # its receiver
