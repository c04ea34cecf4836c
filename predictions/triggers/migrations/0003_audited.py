"""Who changes triggers is told; that they fire is not."""

from django.db import migrations

from forjinn.core.auditing import audited


class Migration(migrations.Migration):
    dependencies = [("triggers", "0002_tenancy"), ("audit", "0002_writing")]

    operations = [
        audited(
            "triggers_trigger",
            resource="triggers",
            secrets=["digest", "sealed"],
            ignores=["execution_count", "last_executed", "next_execution"],
        ),
    ]
