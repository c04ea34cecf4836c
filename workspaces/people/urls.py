"""Routes below /api/v1 for workspaces and people."""

from django.urls import path

from workspaces.people import account, views

urlpatterns = [
    path("workspaces", views.WorkspacesView.as_view()),
    path("workspaces/<str:workspace_id>", views.WorkspaceView.as_view()),
    path("workspaces/<str:workspace_id>/restore", views.RestorationView.as_view()),
    path("workspaces/<str:workspace_id>/switch", views.SwitchView.as_view()),
    path("workspaces/<str:workspace_id>/members", views.MembersView.as_view()),
    path("workspaces/<str:workspace_id>/members/<str:user_id>", views.MemberView.as_view()),
    path("workspaces/<str:workspace_id>/members/<str:user_id>/suspension", views.SuspensionView.as_view()),
    path("workspaces/<str:workspace_id>/service-accounts", views.ServiceAccountsView.as_view()),
    path("workspaces/<str:workspace_id>/invitations", views.InvitationsView.as_view()),
    path("workspaces/<str:workspace_id>/invitations/<str:invitation_id>", views.InvitationView.as_view()),
    path("invitations/accept", views.AcceptanceView.as_view()),
    path("roles", views.RolesView.as_view()),
    path("roles/<str:role_id>", views.RoleView.as_view()),
    path("account", account.AccountView.as_view()),
    path("permissions", account.PermissionsView.as_view()),
    path("permissions/explain", account.ExplanationView.as_view()),
]
