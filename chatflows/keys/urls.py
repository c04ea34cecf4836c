"""Routes below /api/v1 that manage API keys."""

from django.urls import path

from chatflows.keys import views

urlpatterns = [
    path("apikey", views.KeysView.as_view()),
    path("apikey/<str:key_id>", views.KeyView.as_view()),
    path("apikey/<str:key_id>/rotate", views.RotationView.as_view()),
    path("verify/apikey/<str:raw_key>", views.VerificationView.as_view()),
]
