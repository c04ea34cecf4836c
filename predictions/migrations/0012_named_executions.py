from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

NAMED = models.Q(("object_id__isnull", False))
ONCE = """
CREATE UNIQUE INDEX CONCURRENTLY execution_object_id_once ON predictions_execution (object_id)
WHERE object_id IS NOT NULL
"""


class Migration(migrations.Migration):
    atomic = False  # the table is used meanwhile

    dependencies = [("predictions", "0011_execution_object_id")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(ONCE, reverse_sql="DROP INDEX CONCURRENTLY execution_object_id_once")
            ],
            state_operations=[
                migrations.AddConstraint(
                    "execution",
                    models.UniqueConstraint(fields=["object_id"], name="execution_object_id_once", condition=NAMED),
                )
            ],
        ),
        AddIndexConcurrently(
            "execution",
            models.Index(
                fields=["workspace", "-id"],
                include=["state"],
                name="named_execution_by_workspace",
                condition=NAMED,
            ),
        ),
        AddIndexConcurrently(
            "execution",
            models.Index(
                fields=["chatflow", "-id"], include=["state"], name="named_execution_by_flow", condition=NAMED
            ),
        ),
    ]
