"""Who makes, changes and revokes keys is told."""

from django.db import migrations

from forjinn.core.auditing import audited


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0004_scopes"), ("audit", "0002_writing")]

    operations = [
        audited("apikeys_apikey", resource="apikeys", secrets=["digest"], ignores=["last_used_at"]),
    ]
