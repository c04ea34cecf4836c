"""Routes of this API, below /api/v1; its WebSocket is in `forjinn.sockets`."""

from django.urls import path

from forjinn.core.errors import shape_errors
from predictions.doors.chatterfly import views
from predictions.doors.chatterfly.refusals import shape

urlpatterns = [
    path("runs", views.start),
    path("runs/<str:run_id>", views.look),
    path("runs/<str:run_id>/messages", views.messages),
    path("runs/<str:run_id>/stream", views.stream),
    path("runs/<str:run_id>/tokens", views.tokens),
]

for prefix in ("/api/v1/runs", "/api/v1/schema/workflow"):
    shape_errors(prefix, shape)
