"""Routes below /api/stepflow."""

from django.urls import path, re_path

from predictions.doors.stepflow import views

urlpatterns = [
    path("trigger/<str:workflow_id>", views.trigger),
    path("runs/<str:run_id>", views.run),
    path("runs/<str:run_id>/stream", views.stream),
    path("notify/<path:event_id>", views.notify),
    path("health", views.health),
    path("openapi.yaml", views.document),
    re_path("", views.nothing),
]
