"""Who changes limits is told."""

from django.db import migrations

from forjinn.core.auditing import audited


class Migration(migrations.Migration):
    dependencies = [("limits", "0001_initial"), ("audit", "0002_writing")]

    operations = [audited("limits_limit", resource="limits", name="kind")]
