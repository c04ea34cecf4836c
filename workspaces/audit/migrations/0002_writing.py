"""The function that audited tables call for each row, and what keeps entries as they were written.

It runs as the owner of the tables, whoever changed the row: callers in a workspace's scope may read entries and write
none. Ids are of version 7 with a fraction of the millisecond, so that the changes of one transaction stay in order;
PostgreSQL 15 has no function for it.
"""

from django.db import migrations

WRITE = """
CREATE FUNCTION audit_told(value jsonb, is_secret boolean) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
SELECT CASE
    WHEN value IN ('null', '""', '[]', '{}') OR NOT is_secret AND length(value::text) <= 1000 THEN value
    ELSE jsonb_build_object(
        'sha256', left(encode(sha256(convert_to(value #>> '{}', 'UTF8')), 'hex'), 12),
        'bytes', octet_length(value #>> '{}'))
END
$$;

CREATE FUNCTION audit_id(moment timestamptz) RETURNS uuid LANGUAGE sql VOLATILE AS $$
SELECT (lpad(to_hex(floor(us / 1000)::bigint), 12, '0') || '7' || lpad(to_hex((us % 1000 * 4)::int), 3, '0')
    || to_hex(8 + floor(random() * 4)::int) || substr(replace(gen_random_uuid()::text, '-', ''), 1, 15))::uuid
FROM (SELECT floor(extract(epoch FROM moment) * 1000000)::bigint AS us) AS time
$$;

CREATE FUNCTION audit_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    rules CONSTANT jsonb := TG_ARGV[0];
    old_row CONSTANT jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    new_row CONSTANT jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    present CONSTANT jsonb := coalesce(new_row, old_row);
    actor CONSTANT jsonb := coalesce(nullif(current_setting('forjinn.actor', true), ''), '{}');
    moment CONSTANT timestamptz := clock_timestamp();
    workspace uuid := present->>(rules->>'workspace');
    row_name text := present->>(rules->>'name');
    old_values jsonb;
    new_values jsonb;
BEGIN
    IF rules ? 'through' THEN
        EXECUTE format('SELECT workspace_id, name FROM %I WHERE id = $1', rules->>'through')
            INTO workspace, row_name USING (present->>(rules->>'row'))::uuid;
        IF workspace IS NULL THEN
            RETURN NULL;
        END IF;
    END IF;

    SELECT jsonb_object_agg(key, audit_told(old_row->key, rules->'secrets' ? key)),
        jsonb_object_agg(key, audit_told(new_row->key, rules->'secrets' ? key))
    INTO old_values, new_values
    FROM jsonb_object_keys(present) AS key
    WHERE key NOT IN ('id', rules->>'row', coalesce(rules->>'workspace', 'id')) AND NOT rules->'ignores' ? key
        AND CASE WHEN TG_OP <> 'UPDATE' THEN present->key NOT IN ('null', '""', '[]', '{}')
            ELSE old_row->key <> new_row->key AND NOT (rules->'fills' ? key AND old_row->key = 'null') END;
    IF TG_OP = 'UPDATE' AND new_values IS NULL THEN
        RETURN NULL;
    END IF;

    INSERT INTO audit_auditentry (id, workspace_id, at, actor_kind, actor_id, actor_name, address, request_id,
        resource, action, row_id, row_name, before, after)
    VALUES (audit_id(moment), workspace, moment,
        left(coalesce(actor->>'kind', 'system'), 20), left(coalesce(actor->>'id', ''), 64),
        left(coalesce(actor->>'name', ''), 255), left(coalesce(actor->>'address', ''), 64),
        left(coalesce(actor->>'requestId', ''), 64), rules->>'resource',
        CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'updated' ELSE 'deleted' END,
        coalesce(present->>(rules->>'row'), ''), left(coalesce(row_name, ''), 255),
        CASE WHEN TG_OP <> 'INSERT' THEN coalesce(old_values, '{}') END,
        CASE WHEN TG_OP <> 'DELETE' THEN coalesce(new_values, '{}') END);
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION audit_write() FROM PUBLIC;
DO $$ BEGIN EXECUTE format('ALTER FUNCTION audit_write() SET search_path = pg_catalog, %I, pg_temp', current_schema()); END $$;

CREATE FUNCTION audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('forjinn.retention', true) = 'over' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'entries of the audit trail are not changed, and deleted only when AUDIT_RETENTION_D is over'
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_keep BEFORE UPDATE OR DELETE ON audit_auditentry FOR EACH ROW EXECUTE FUNCTION audit_keep();
"""
UNWRITE = """
DROP TRIGGER audit_keep ON audit_auditentry;
DROP FUNCTION audit_keep();
DROP FUNCTION audit_write();
DROP FUNCTION audit_id(timestamptz);
DROP FUNCTION audit_told(jsonb, boolean);
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [migrations.RunSQL(WRITE, UNWRITE)]
