"""All routes: each app's own below /api/v1, the run protocols of others, the docs, the administration, the pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularRedocView, SpectacularSwaggerView

from forjinn.core.permissions import PUBLIC, needing
from predictions.triggers.webhooks import call_webhook

OPEN: dict[str, Any] = {"authentication_classes": [], "permission_classes": []}
public = needing(GET=PUBLIC)

urlpatterns = [
    path("api/v1/", include("workspaces.people.urls")),
    path("api/v1/", include("workspaces.audit.urls")),
    path("api/v1/", include("chatflows.urls")),
    path("api/v1/", include("predictions.urls")),
    path("api/v1/", include("predictions.triggers.urls")),
    path("api/v1/", include("predictions.hooks.urls")),
    path("api/v1/", include("predictions.retention.urls")),
    path("api/webhooks/<str:token>", call_webhook),
    path("api/v1/", include("predictions.doors.chatterfly.urls")),
    path("api/stepflow/", include("predictions.doors.stepflow.urls")),
    path("workflows/v1/", include("predictions.doors.interactly.urls")),
    path("api/v1/openapi.json", public(SpectacularJSONAPIView.as_view(**OPEN)), name="schema"),
    path("api/docs", public(SpectacularSwaggerView.as_view(url_name="schema", **OPEN))),
    path("api/docs/redoc", public(SpectacularRedocView.as_view(url_name="schema", **OPEN))),
    path("admin/", admin.site.urls),
    path("_allauth/", include("allauth.headless.urls")),
    path("accounts/", include("allauth.urls")),  # where sign-in providers send people back to
    path("", include("predictions.pages")),
]

handler400 = "forjinn.core.refusals.bad_request"
handler404 = "forjinn.core.refusals.not_found"
handler500 = "forjinn.core.refusals.server_error"
