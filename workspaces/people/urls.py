"""Routes below /api/v1 for workspaces and people."""

from django.urls import path

from workspaces.people import account, invitations, members, roles, workspaces

urlpatterns = [
    path("workspaces", workspaces.WorkspacesView.as_view()),
    path("workspaces/<str:workspace_id>", workspaces.WorkspaceView.as_view()),
    path("workspaces/<str:workspace_id>/restore", workspaces.RestorationView.as_view()),
    path("workspaces/<str:workspace_id>/switch", workspaces.SwitchView.as_view()),
    path("workspaces/<str:workspace_id>/members", members.MembersView.as_view()),
    path("workspaces/<str:workspace_id>/members/<str:user_id>", members.MemberView.as_view()),
    path("workspaces/<str:workspace_id>/members/<str:user_id>/suspension", members.SuspensionView.as_view()),
    path("workspaces/<str:workspace_id>/service-accounts", members.ServiceAccountsView.as_view()),
    path("workspaces/<str:workspace_id>/invitations", invitations.InvitationsView.as_view()),
    path("workspaces/<str:workspace_id>/invitations/<str:invitation_id>", invitations.InvitationView.as_view()),
    path("invitations", invitations.OwnInvitationsView.as_view()),
    path("invitations/accept", invitations.AcceptanceView.as_view()),
    path("roles", roles.RolesView.as_view()),
    path("roles/<str:role_id>", roles.RoleView.as_view()),
    path("account", account.AccountView.as_view()),
    path("permissions", account.PermissionsView.as_view()),
    path("permissions/explain", account.ExplanationView.as_view()),
]
