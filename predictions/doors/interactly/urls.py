"""Routes below /workflows/v1."""

from django.urls import path

from predictions.doors.interactly import views

urlpatterns = [
    path("workflows/<str:workflow_id>/execute", views.execute),
    path("workflows/<str:workflow_id>/runs/<str:run_id>/pump-companions", views.pump),
    path("workflows/<str:workflow_id>/versions", views.versions),
    path("workflow-runs", views.workflow_runs),
    path("workflow-runs/<str:run_id>", views.workflow_run),
]
