"""Of what a key was before its rotation the audit trail keeps fingerprints alone, too."""

from django.db import migrations

from forjinn.core.auditing import audited

BEFORE = audited("apikeys_apikey", resource="apikeys", secrets=["digest"], ignores=["last_used_at"])


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0006_key_limits")]

    operations = [
        migrations.RunSQL(BEFORE.reverse_sql, BEFORE.sql),
        audited(
            "apikeys_apikey",
            resource="apikeys",
            secrets=["digest", "previous_digest"],
            ignores=["last_used_at"],
        ),
    ]
