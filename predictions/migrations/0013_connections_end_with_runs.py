"""What a caller brought for one run goes with its end, whichever statement ends it."""

from django.db import migrations

FORGET = """
CREATE FUNCTION predictions_forget_connections() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.request := NEW.request - 'connections';
    RETURN NEW;
END
$$;

CREATE TRIGGER predictions_forget_connections BEFORE UPDATE OF state ON predictions_execution FOR EACH ROW
WHEN (NEW.state IN ('COMPLETED', 'FAILED', 'CANCELLED') AND NEW.request ? 'connections')
EXECUTE FUNCTION predictions_forget_connections();
"""
KEEP = """
DROP TRIGGER predictions_forget_connections ON predictions_execution;
DROP FUNCTION predictions_forget_connections()
"""


class Migration(migrations.Migration):
    dependencies = [("predictions", "0012_named_executions")]

    operations = [migrations.RunSQL(FORGET, KEEP)]
