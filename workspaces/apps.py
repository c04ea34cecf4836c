"""Django's entry for the app."""

from django.apps import AppConfig


class WorkspacesConfig(AppConfig):
    name = "workspaces"
