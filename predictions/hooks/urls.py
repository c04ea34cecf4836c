"""Routes below /api/v1 for outgoing hooks."""

from django.urls import path

from predictions.hooks import views

urlpatterns = [
    path("hook-subscriptions", views.SubscriptionsView.as_view()),
    path("hook-subscriptions/<str:subscription_id>", views.SubscriptionView.as_view()),
    path("hook-subscriptions/<str:subscription_id>/test", views.PingView.as_view()),
    path("hook-subscriptions/<str:subscription_id>/deliveries", views.SubscriptionDeliveriesView.as_view()),
    path("hook-deliveries", views.DeliveriesView.as_view()),
    path("hook-deliveries/<str:delivery_id>", views.DeliveryView.as_view()),
    path("hook-deliveries/<str:delivery_id>/redeliver", views.RedeliveryView.as_view()),
]
