from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the table is used meanwhile

    dependencies = [("predictions", "0009_execution_controls")]

    operations = [
        AddIndexConcurrently(
            "execution",
            models.Index(
                condition=models.Q(("deadline_at__isnull", False), ("state__in", ["QUEUED", "WAITING"])),
                fields=["deadline_at"],
                name="execution_by_deadline",
            ),
        )
    ]
