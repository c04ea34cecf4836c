"""Routes below /api/v1 for how long things are kept."""

from django.urls import path

from predictions.retention import views

urlpatterns = [
    path("retention", views.RetentionView.as_view()),
    path("retention/<str:chatflow_id>", views.FlowRetentionView.as_view()),
]
