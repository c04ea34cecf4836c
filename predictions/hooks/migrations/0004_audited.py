"""Who changes receivers of hooks is told; how sending to them goes is not."""

from django.db import migrations

from forjinn.core.auditing import audited


class Migration(migrations.Migration):
    dependencies = [("hooks", "0003_tenancy"), ("audit", "0002_writing")]

    operations = [
        audited(
            "hooks_hooksubscription", resource="hooks", secrets=["secret"], ignores=["failures", "failing_since"]
        ),
    ]
