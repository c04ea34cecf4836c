"""The second wall: which rows of a table PostgreSQL shows to code in a workspace's scope. Migrations call this.

A table that no migration names here cannot be reached from within a workspace at all: nothing is granted by default.
The owner of the tables, whom commands, migrations and the system's scope act as, is not held by policies.
"""

from __future__ import annotations

from django.db.migrations import RunSQL

from forjinn.core.scopes import TENANT_ROLE

# With the cast on this side the index of the column stays of use. Unset or empty: no workspace, so no row.
PRESENT = "nullif(current_setting('forjinn.workspace', true), '')::uuid"
EVERYTHING = "SELECT, INSERT, UPDATE, DELETE"

# Roles belong to the whole server, and others may be bringing another of its databases up to date at this moment.
CREATE_ROLE = f"""
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{TENANT_ROLE}') THEN
        BEGIN
            CREATE ROLE {TENANT_ROLE} NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
    BEGIN
        SET LOCAL ROLE {TENANT_ROLE};
        SET LOCAL ROLE NONE;
    EXCEPTION WHEN insufficient_privilege THEN
        GRANT {TENANT_ROLE} TO CURRENT_USER;
    END;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{TENANT_ROLE}' AND (rolsuper OR rolbypassrls)) THEN
        RAISE EXCEPTION 'The role {TENANT_ROLE} must not pass by row-level security. An administrator runs once: '
            'ALTER ROLE {TENANT_ROLE} NOSUPERUSER NOBYPASSRLS';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO {TENANT_ROLE}', current_schema());
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'This database user may not create the role that keeps workspaces apart. An administrator runs '
        'once: CREATE ROLE {TENANT_ROLE} NOLOGIN (unless it is there); GRANT {TENANT_ROLE} TO %',
        quote_ident(current_user);
END
$$
"""  # noqa: S608 -- of constants


def create_tenant_role() -> RunSQL:
    """The role that code in a workspace's scope acts as. It stays when the migration is undone: others may use it."""
    return RunSQL(CREATE_ROLE, RunSQL.noop)


def enable_tenancy(
    table: str, column: str = "workspace_id", *, if_exists: bool = False, may: str = EVERYTHING
) -> RunSQL:
    """From within a workspace only the rows are there whose `column` is its id. `may`: what can be done to them."""
    enable, disable = _on(table, f"{column} = {PRESENT}", may=may)
    if if_exists:
        return RunSQL(_where_it_exists(table, enable), _where_it_exists(table, disable))
    return RunSQL(enable, disable)


def enable_tenancy_through(parent: str, *, table: str, column: str) -> RunSQL:
    """From within a workspace only the rows are there that hang on a row of `parent` that is there, by `column`.

    `parent` has a policy of its own. A statement that inserts into both at once must run in the system's scope:
    PostgreSQL does not see the new parent yet.
    """
    return RunSQL(*_on(table, f"EXISTS (SELECT FROM {parent} parent WHERE parent.id = {table}.{column})"))


def read_only_through(child: str, column: str, *, table: str) -> RunSQL:
    """From within a workspace the rows can be read that a row of `child` that is there leads to, by `column`."""
    condition = f"EXISTS (SELECT FROM {child} child WHERE child.{column} = {table}.id)"
    return RunSQL(*_on(table, condition, may="SELECT"))


def _on(table: str, condition: str, *, may: str = EVERYTHING) -> tuple[str, str]:
    enable = (
        f"CREATE POLICY tenancy ON {table} TO {TENANT_ROLE} USING ({condition}) WITH CHECK ({condition});"
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"
        f"GRANT {may} ON {table} TO {TENANT_ROLE};"
    )
    disable = (
        f"REVOKE ALL ON {table} FROM {TENANT_ROLE};"
        f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;"
        f"DROP POLICY tenancy ON {table};"
    )
    return enable, disable


def _where_it_exists(table: str, statements: str) -> str:
    return f"DO $do$ BEGIN IF to_regclass('{table}') IS NOT NULL THEN {statements} END IF; END $do$"
