"""From within a workspace only its own keys are there."""

from django.db import migrations

from forjinn.core.policies import enable_tenancy


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0002_apikey_kind"), ("workspaces", "0004_tenancy")]

    operations = [
        enable_tenancy("apikeys_apikey"),
    ]
