from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the table is used meanwhile

    dependencies = [("predictions", "0002_execution_pauses")]

    operations = [
        AddIndexConcurrently(
            "execution",
            models.Index(fields=["chatflow", "session_id", "-id"], name="execution_by_session"),
        ),
        AddIndexConcurrently(
            "execution",
            models.Index(
                fields=["chatflow", "chat_id"], name="execution_waiting", condition=models.Q(state="WAITING")
            ),
        ),
        AddIndexConcurrently(
            "execution",
            models.Index(fields=["finished_at"], name="execution_waits_since", condition=models.Q(state="WAITING")),
        ),
    ]
