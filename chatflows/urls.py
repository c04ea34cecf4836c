"""Routes below /api/v1 that manage flows."""

from django.urls import path

from chatflows import views

urlpatterns = [
    path("chatflows", views.ChatflowsView.as_view()),
    path("chatflows/apikey/<str:raw_key>", views.ChatflowsOfKeyView.as_view()),
    path("chatflows/<str:chatflow_id>", views.ChatflowView.as_view()),
    path("agentflows", views.AgentflowsView.as_view()),
    path("agentflows/<str:chatflow_id>", views.AgentflowView.as_view()),
]
