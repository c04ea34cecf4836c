from django.db import migrations

# Those that wait already wait for a person, for as long as the server then kept such runs.
WAITS = """
INSERT INTO predictions_wait (execution_id, workspace_id, kind, event, due_at, goes_on)
SELECT id, workspace_id, 'human', '', finished_at + interval '72 hours', false
FROM predictions_execution WHERE state = 'WAITING'
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("predictions", "0005_wait")]

    operations = [migrations.RunSQL(WAITS, migrations.RunSQL.noop)]
