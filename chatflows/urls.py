"""Routes below /api/v1 that manage flows."""

from django.urls import include, path

from chatflows import catalogue, inspection, tool_views, views

urlpatterns = [
    path("chatflows", views.ChatflowsView.as_view()),
    path("chatflows/apikey/<str:raw_key>", views.ChatflowsOfKeyView.as_view()),
    path("chatflows/<str:chatflow_id>", views.ChatflowView.as_view()),
    path("chatflows/<str:chatflow_id>/problems", inspection.FlowProblemsView.as_view()),
    path("flow-config/<str:chatflow_id>", inspection.FlowConfigView.as_view()),
    path("agentflows", views.AgentflowsView.as_view()),
    path("agentflows/<str:chatflow_id>", views.AgentflowView.as_view()),
    path("tools", tool_views.ToolsView.as_view()),
    path("tools/<str:tool_id>", tool_views.ToolView.as_view()),
    path("document-store/", include("chatflows.documents.urls")),
    path("", include("chatflows.keys.urls")),
    path("nodes", catalogue.NodesView.as_view()),
    path("nodes/<str:name>", catalogue.NodeView.as_view()),
    path("node-icon/<str:name>", catalogue.NodeIconView.as_view()),
    path("components-credentials", catalogue.CredentialKindsView.as_view()),
    path("components-credentials/<str:name>", catalogue.CredentialKindView.as_view()),
    path("components-credentials-icon/<str:name>", catalogue.CredentialIconView.as_view()),
    path("schema/workflow", catalogue.FlowSchemaView.as_view()),
]
