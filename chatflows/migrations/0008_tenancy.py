"""From within a workspace only its own flows, tools and embedded documents are there."""

from django.db import migrations

from forjinn.core.policies import enable_tenancy, enable_tenancy_through


class Migration(migrations.Migration):
    dependencies = [("chatflows", "0007_deployments"), ("workspaces", "0004_tenancy")]

    operations = [
        enable_tenancy("chatflows_chatflow"),
        enable_tenancy_through("chatflows_chatflow", table="chatflows_chatflowversion", column="chatflow_id"),
        enable_tenancy("chatflows_deployment"),
        enable_tenancy("chatflows_tool"),
        enable_tenancy("chatflows_vector", if_exists=True),  # there is none without pgvector
        enable_tenancy("chatflows_vectorrecord"),
    ]
