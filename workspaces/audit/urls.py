"""Routes below /api/v1 for the audit trail."""

from django.urls import path

from workspaces.audit import export, views

urlpatterns = [
    path("audit", views.AuditView.as_view()),
    path("audit/export", export.AuditExportView.as_view()),
]
