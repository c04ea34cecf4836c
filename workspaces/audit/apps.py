"""Django's entry for the app."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "workspaces.audit"
