"""From within a workspace only its own triggers are there."""

from django.db import migrations

from forjinn.core.policies import enable_tenancy, enable_tenancy_through


class Migration(migrations.Migration):
    dependencies = [("triggers", "0001_initial"), ("predictions", "0015_tenancy")]

    operations = [
        enable_tenancy("triggers_trigger"),
        enable_tenancy_through("triggers_trigger", table="triggers_firing", column="trigger_id"),
        enable_tenancy_through("predictions_execution", table="triggers_callback", column="execution_id"),
    ]
