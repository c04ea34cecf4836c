"""Routes below /api/v1 for the audit trail."""

from django.urls import path

from workspaces.audit import views

urlpatterns = [
    path("audit", views.AuditView.as_view()),
]
