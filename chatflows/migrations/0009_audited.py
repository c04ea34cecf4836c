"""Who changes flows is told."""

from django.db import migrations

from forjinn.core.auditing import audited


class Migration(migrations.Migration):
    dependencies = [("chatflows", "0008_tenancy"), ("audit", "0002_writing")]

    operations = [audited("chatflows_chatflow", resource="chatflows", fills=["version_id"])]
