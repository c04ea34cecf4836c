"""Routes of triggers below /api/v1."""

from django.urls import path

from predictions.triggers import flow_webhooks, views

urlpatterns = [
    path("triggers", views.TriggersView.as_view()),
    path("triggers/<str:trigger_id>", views.TriggerView.as_view()),
    path("triggers/<str:trigger_id>/rotate", views.RotationView.as_view()),
    path("triggers/<str:trigger_id>/executions", views.TriggerExecutionsView.as_view()),
    path("webhook/<str:chatflow_id>", flow_webhooks.call_flow),
]
