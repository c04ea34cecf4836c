"""From within a workspace only its own runs are there, and what they left behind."""

from django.db import migrations

from forjinn.core.policies import enable_tenancy, enable_tenancy_through


class Migration(migrations.Migration):
    dependencies = [("predictions", "0014_idempotencykey_answer"), ("workspaces", "0004_tenancy")]

    operations = [
        enable_tenancy("predictions_execution"),
        enable_tenancy_through("predictions_execution", table="predictions_noderun", column="execution_id"),
        enable_tenancy("predictions_wait"),
        enable_tenancy_through("predictions_execution", table="predictions_idempotencykey", column="execution_id"),
        enable_tenancy("predictions_chatmessage"),
    ]
