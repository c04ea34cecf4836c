from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # the table is used meanwhile

    dependencies = [("predictions", "0006_waits_of_waiting_runs")]

    operations = [RemoveIndexConcurrently("execution", "execution_waits_since")]
