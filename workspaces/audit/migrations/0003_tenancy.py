"""From within a workspace its entries can be read, and none can be written."""

from django.db import migrations

from forjinn.core.policies import enable_tenancy


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_writing"), ("workspaces", "0004_tenancy")]

    operations = [enable_tenancy("audit_auditentry", may="SELECT")]
