"""Django's entry for the app."""

from django.apps import AppConfig


class LimitsConfig(AppConfig):
    name = "workspaces.limits"

    def ready(self) -> None:
        from workspaces.limits import records  # noqa: F401 -- whoever changes a limit has it announced
