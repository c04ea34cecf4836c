"""Who changes workspaces, the people in them and their variables is told."""

from django.db import migrations

from forjinn.core.auditing import audited


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0005_audited"), ("audit", "0002_writing")]

    operations = [
        audited("workspaces_workspace", resource="workspace", workspace="id"),
        audited("workspaces_membership", resource="memberships"),
        audited("workspaces_variable", resource="variables", secrets=["value"]),
        # Accounts are of no workspace: operators alone can look at what happened to them.
        audited(
            "workspaces_user",
            resource="users",
            name="email",
            workspace=None,
            secrets=["password"],
            ignores=["last_login"],
        ),
    ]
