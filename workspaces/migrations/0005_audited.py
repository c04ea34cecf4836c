"""Who changes credentials is told."""

from django.db import migrations

from forjinn.core.auditing import audited


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0004_tenancy"), ("audit", "0002_writing")]

    operations = [audited("workspaces_credential", resource="credentials", secrets=["sealed"])]
