"""Record managers: what vector stores were given before."""

from __future__ import annotations

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import values
from engine.records import Cleanup, RecordManager
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

CLEANUPS: tuple[Cleanup, ...] = ("none", "incremental", "full")

OWN = (
    Param("tableName", "string", "Table Name", optional=True, help="Keeps records of different stores apart."),
    Param("namespace", "string", "Namespace", optional=True, help="Likewise; the flow's id unless given."),
    Param(
        "cleanup",
        "options",
        "Cleanup",
        default="none",
        optional=True,
        options=CLEANUPS,
        help="What is deleted that an upsert does not bring again: nothing, its sources' old parts, or everything.",
    ),
    Param(
        "sourceIdKey", "string", "SourceId Key", default="source", optional=True, help="Metadata that names a source."
    ),
)


def _spec(name: str, label: str, version: float, *params: Param) -> NodeSpec:
    return NodeSpec(
        name=name,
        label=label,
        version=version,
        category="Record Manager",
        base_classes=(label, "RecordManager"),
        help="Remembers in the platform's own database which documents are stored, so that they are stored once.",
        params=(*params, *OWN),
        role="component",
    )


POSTGRES = _spec(
    "postgresRecordManager",
    "Postgres Record Manager",
    1,
    Param("host", "string", "Host", optional=True, help="Leave it empty: the database is the platform's."),
)
SQLITE = _spec("SQLiteRecordManager", "SQLite Record Manager", 1)


async def run_records(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError for another server than the platform's own, or a cleanup that does not exist."""
    if host := values.text(inputs, "host"):
        raise NodeInputError(f"Records are kept in Forjinn's own PostgreSQL, not at {host}: clear 'host', and upsert.")
    if ctx.world.records is None:
        raise NodeInputError("There is no database to keep records in here.")
    chosen = values.text(inputs, "cleanup", "none")
    cleanup = next((known for known in CLEANUPS if known == chosen), None)
    if cleanup is None:
        raise NodeInputError(f"cleanup must be one of {', '.join(CLEANUPS)}, not {chosen!r}.")
    namespace = f"{values.text(inputs, 'tableName')}/{values.text(inputs, 'namespace', ctx.request.chatflow_id)}"
    source_key = values.text(inputs, "sourceIdKey", "source")
    return NodeResult(value=RecordManager(ctx.world.records, namespace, cleanup, source_key))


NODES = (NodeType(POSTGRES, run_records), NodeType(SQLITE, run_records))
