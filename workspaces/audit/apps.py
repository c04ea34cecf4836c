"""Django's entry for the app."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "workspaces.audit"

    def ready(self) -> None:
        from workspaces.audit import signals  # noqa: F401 -- connects them
