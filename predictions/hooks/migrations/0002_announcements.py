"""A run's change of state writes what its receivers are to be told, in the same statement, whoever makes it.

The first question is the hot path: nobody listens. What follows is paid for by whoever does. Rows of a version 7 UUID
lie in the order of time; PostgreSQL 15 has no function for it.
"""

from django.db import migrations

ANNOUNCE = """
CREATE FUNCTION hooks_announce() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    happened CONSTANT text := 'run.' || CASE NEW.state WHEN 'RUNNING' THEN 'started' ELSE lower(NEW.state) END;
    happened_at CONSTANT text := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
    has_hooks CONSTANT boolean := NEW.request ? 'hooks';
    output jsonb;
    message jsonb;
BEGIN
    IF NOT (has_hooks OR EXISTS (SELECT FROM hooks_hooksubscription WHERE workspace_id = NEW.workspace_id)) THEN
        RETURN NULL;
    END IF;
    -- Started once, however often a worker took it; and put back to wait is not news.
    IF (NEW.state = 'RUNNING' AND OLD.started_at IS NOT NULL) OR (NEW.state = 'WAITING' AND OLD.state <> 'RUNNING') THEN
        RETURN NULL;
    END IF;

    -- The trace and what is too long for a message can be read from the execution.
    output := NEW.output - 'agentFlowExecutedData';
    message := jsonb_build_object(
        'run_id', 'run_' || replace(NEW.id::text, '-', ''),
        'status', lower(NEW.state),
        'state', coalesce(NEW.flow_state->'state', NEW.request->'state', '{}'::jsonb),
        'error', nullif(NEW.error, '')
    );
    IF length(message->>'state') > 65536 THEN
        message := message || '{"state": null}';
    END IF;
    message := message || jsonb_build_object('event', happened, 'type', happened, 'timestamp', happened_at, 'data',
        message || jsonb_build_object(
            'executionId', NEW.id,
            'chatflowId', NEW.chatflow_id,
            'chatId', NEW.chat_id,
            'sessionId', NEW.session_id,
            'errorCode', nullif(NEW.error_code, ''),
            'output', CASE WHEN length(output::text) <= 262144 THEN output END
        ));

    INSERT INTO hooks_hookdelivery (id, workspace_id, execution_id, subscription_id, url, secret, event, payload,
        attempts, attempts_before, last_error)
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing substring(
            int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1),
            'hex')::uuid,
        NEW.workspace_id, NEW.id, receiver.subscription_id, receiver.url, receiver.secret, happened, message, 0, 0, ''
    FROM (
        SELECT id AS subscription_id, '' AS url, '' AS secret FROM hooks_hooksubscription
        WHERE workspace_id = NEW.workspace_id AND enabled AND paused_at IS NULL AND events ? happened
            AND (chatflow_id IS NULL OR chatflow_id = NEW.chatflow_id)
        UNION ALL
        SELECT NULL, hook->>'url', coalesce(hook->>'secret', '')
        FROM jsonb_array_elements(CASE jsonb_typeof(NEW.request->'hooks') WHEN 'array' THEN NEW.request->'hooks' END) AS hook
        WHERE hook->'events' ? happened
    ) AS receiver;
    RETURN NULL;
END
$$;

CREATE TRIGGER hooks_announce AFTER UPDATE OF state ON predictions_execution FOR EACH ROW
WHEN (NEW.state <> OLD.state AND NEW.state <> 'QUEUED') EXECUTE FUNCTION hooks_announce();
"""
SILENCE = "DROP TRIGGER hooks_announce ON predictions_execution; DROP FUNCTION hooks_announce()"


class Migration(migrations.Migration):
    dependencies = [("hooks", "0001_initial")]

    operations = [migrations.RunSQL(ANNOUNCE, SILENCE)]
