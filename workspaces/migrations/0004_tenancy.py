"""From within a workspace only its own rows are there; see `forjinn.core.policies`."""

from django.db import migrations

from forjinn.core.policies import create_tenant_role, enable_tenancy, read_only_through


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0003_credential_fulfillment")]

    operations = [
        create_tenant_role(),
        enable_tenancy("workspaces_workspace", "id"),
        enable_tenancy("workspaces_membership"),
        enable_tenancy("workspaces_credential"),
        enable_tenancy("workspaces_variable"),
        # People exist apart from workspaces: from within one its members can be read, and nobody changed.
        read_only_through("workspaces_membership", "user_id", table="workspaces_user"),
    ]
