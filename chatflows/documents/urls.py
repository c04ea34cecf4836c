"""Routes below /api/v1/document-store that keep and show stores."""

from django.urls import path

from chatflows.documents import views

urlpatterns = [
    path("store", views.StoresView.as_view()),
    path("store/<str:store_id>", views.StoreView.as_view()),
    path("loader/save", views.LoaderSaveView.as_view()),
    path("chunks/<str:store_id>/<str:loader_id>/<str:chunk>", views.ChunksView.as_view()),
    path("vectorstore/save", views.PartsView.as_view()),
    path("vectorstore/update", views.PartsUpdateView.as_view()),
    path("components/loaders", views.LoadersView.as_view()),
    path("components/embeddings", views.EmbeddingsView.as_view()),
    path("components/vectorstore", views.VectorStoresView.as_view()),
    path("components/recordmanager", views.RecordManagersView.as_view()),
]
