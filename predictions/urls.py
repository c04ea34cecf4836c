"""Routes below /api/v1 that run flows or read what runs left."""

from django.urls import path, re_path

from predictions.allowances import views as allowances
from predictions.views import controls, documents, end_users, events, executions, messages, predictions, upserts

urlpatterns = [
    path("prediction/<str:chatflow_id>", predictions.predict),
    path("vector/upsert/<str:chatflow_id>", upserts.upsert_documents),
    path("vector/internal-upsert/<str:chatflow_id>", upserts.upsert_from_editor),
    path("document-store/loader/preview", documents.preview_loader),
    path("document-store/loader/process/<str:loader_id>", documents.process_loader),
    path("document-store/loader/<str:store_id>/<str:loader_id>", documents.delete_loader),
    path("document-store/vectorstore/insert", documents.insert_chunks),
    path("document-store/vectorstore/query", documents.query_store),
    path("document-store/vectorstore/<str:store_id>", documents.delete_stored),
    path("document-store/upsert/<str:store_id>", documents.upsert_store),
    path("document-store/refresh/<str:store_id>", documents.refresh_store),
    path("chatflows-streaming/<str:chatflow_id>", predictions.is_streaming),
    path("public-chatbotConfig/<str:chatflow_id>", predictions.chatbot_config),
    # Chat ids are the clients' own: a customer's name, a plus sign, a space.
    re_path(r"^chatmessage/abort/(?P<chatflow_id>[^/]+)/(?P<chat_id>.+)$", predictions.abort),
    path("chatmessage/<str:chatflow_id>", messages.ChatMessagesView.as_view()),
    path("events/<str:event>", events.report),
    path("end-user-secret", end_users.EndUserSecretView.as_view()),
    path("end-users", end_users.EndUsersView.as_view()),
    path("end-users/<str:end_user_id>", end_users.EndUserView.as_view()),
    path("end-users/<str:end_user_id>/export", end_users.EndUserExportView.as_view()),
    path("executions", executions.ExecutionsView.as_view()),
    path("executions/<str:execution_id>", executions.ExecutionView.as_view()),
    path("executions/<str:execution_id>/stream", predictions.execution_stream),
    path("executions/<str:execution_id>/cancel", controls.cancel),
    path("executions/<str:execution_id>/pause", controls.pause),
    path("executions/<str:execution_id>/resume", controls.resume),
    path("executions/<str:execution_id>/retry", controls.retry),
    path("executions/<str:execution_id>/fork", controls.fork),
    path("limits", allowances.LimitsView.as_view()),
]
