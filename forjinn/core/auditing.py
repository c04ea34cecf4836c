"""What the audit trail is told: a trigger of each table that people manage, so that no writer forgets. Migrations call
this.

The function that the triggers call, and where it writes to, are `workspaces.audit`'s; who is behind a statement is the
setting `forjinn.actor` of its session (`forjinn.core.scopes`, docs/adr/0012-audit-by-trigger.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from django.db.migrations import RunSQL

ALWAYS_IGNORED = ("created_at", "updated_at")  # entries have a time of their own


def audited(
    table: str,
    *,
    resource: str,
    name: str = "name",
    workspace: str | None = "workspace_id",
    secrets: Sequence[str] = (),
    ignores: Sequence[str] = (),
    fills: Sequence[str] = (),
) -> RunSQL:
    """Every row that is made, changed or deleted becomes an entry of `resource`, by whichever statement.

    The columns `name` and `workspace` tell what the row is called and whose it is; None: nobody's. Of `secrets` only
    fingerprints are kept. `ignores` are not told: what programs count and note; the first value of `fills` neither: it
    is given right after the row was made.
    """
    rules = {"resource": resource, "name": name, "workspace": workspace, "row": "id", "fills": list(fills)}
    return RunSQL(_triggers(table, rules, secrets, ignores), _none(table))


def audited_through(
    parent: str, *, table: str, column: str, resource: str, secrets: Sequence[str] = (), ignores: Sequence[str] = ()
) -> RunSQL:
    """As `audited`, for rows that belong to one of `parent`, by `column`: entries name that one, and its workspace.

    What is deleted together with its parent is not told apart.
    """
    rules = {"resource": resource, "through": parent, "row": column}
    return RunSQL(_triggers(table, rules, secrets, ignores), _none(table))


def _triggers(table: str, rules: Mapping[str, object], secrets: Sequence[str], ignores: Sequence[str]) -> str:
    left_out = [*ALWAYS_IGNORED, *ignores]
    told = json.dumps({**rules, "secrets": list(secrets), "ignores": left_out})
    columns = f"'{{{','.join(left_out)}}}'::text[]"
    # The condition names whole rows, so it hinders no later change of a column.
    return (
        f"CREATE TRIGGER audited_rows AFTER INSERT OR DELETE ON {table} FOR EACH ROW "
        f"EXECUTE FUNCTION audit_write('{told}');"
        f"CREATE TRIGGER audited_changes AFTER UPDATE ON {table} FOR EACH ROW "
        f"WHEN (to_jsonb(OLD) - {columns} IS DISTINCT FROM to_jsonb(NEW) - {columns}) "
        f"EXECUTE FUNCTION audit_write('{told}');"
    )


def _none(table: str) -> str:
    return f"DROP TRIGGER audited_rows ON {table}; DROP TRIGGER audited_changes ON {table};"
