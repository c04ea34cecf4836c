"""Django's entry for the app."""

from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    name = "chatflows.documents"
