"""From within a workspace only its own receivers of hooks are there, and what they were sent.

The trigger `hooks_announce` needs no rights of its own: it reads and writes rows of the run's workspace alone.
"""

from django.db import migrations

from forjinn.core.policies import enable_tenancy, enable_tenancy_through


class Migration(migrations.Migration):
    dependencies = [("hooks", "0002_announcements"), ("predictions", "0015_tenancy")]

    operations = [
        enable_tenancy("hooks_hooksubscription"),
        enable_tenancy("hooks_hookdelivery"),
        enable_tenancy_through("hooks_hookdelivery", table="hooks_hookattempt", column="delivery_id"),
    ]
