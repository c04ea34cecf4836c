"""Routes for people and probes: what runs here, a chat page for each public flow, health."""

from django.urls import path

from predictions import health
from predictions.views import pages

urlpatterns = [
    path("", pages.index),
    path("chat/<uuid:chatflow_id>", pages.chat),
    path("health", health.health),
    path("ready", health.ready),
]
