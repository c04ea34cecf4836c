"""Django's entry for the project itself."""

from django.apps import AppConfig


class ForjinnConfig(AppConfig):
    name = "forjinn"

    def ready(self) -> None:
        from forjinn import checks  # registers them

        checks.refuse_unsafe_start()
