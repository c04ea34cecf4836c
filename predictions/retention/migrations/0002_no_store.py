"""A rule may say that nothing is stored: every run that it counts for is marked when it is recorded, by whoever."""

from django.db import migrations, models

MARK = """
CREATE FUNCTION retention_mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT coalesce((
        SELECT is_stored FROM retention_retention
        WHERE workspace_id = NEW.workspace_id AND (chatflow_id IS NULL OR chatflow_id = NEW.chatflow_id)
        ORDER BY chatflow_id NULLS LAST LIMIT 1
    ), true) THEN
        NEW.contents := 'passing';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER retention_mark BEFORE INSERT ON predictions_execution FOR EACH ROW EXECUTE FUNCTION retention_mark();
"""
MARK_NONE = "DROP TRIGGER retention_mark ON predictions_execution; DROP FUNCTION retention_mark()"


class Migration(migrations.Migration):

    dependencies = [
        ('predictions', '0017_execution_contents'),
        ('retention', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='retention',
            name='is_stored',
            field=models.BooleanField(default=True, help_text='No: what was asked and said is deleted once a run has ended.', verbose_name='stored'),
        ),
        migrations.RunSQL(MARK, MARK_NONE),
    ]
