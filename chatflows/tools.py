"""Tools that a workspace keeps: every write to them, and how runs find them."""

from __future__ import annotations

from typing import TypedDict, Unpack
from uuid import UUID

import orjson
from asgiref.sync import sync_to_async
from django.db import transaction
from django.utils import timezone

from chatflows.models import Tool
from engine.errors import NodeInputError
from engine.tool_templates import TYPES, ToolTemplate, read_tool_schema
from forjinn.core.errors import BadRequest, NotFound

MAX_TEXT = 100_000  # characters of a function, a schema or an icon
ROW = "{property, type, description, required}"


class ToolChanges(TypedDict, total=False):
    """What may be changed of a tool that exists."""

    name: str
    description: str
    color: str
    icon_src: str
    schema: str
    func: str


class NewTool(ToolChanges, total=False):
    """What a new tool has; `name` and `func` must be there. `id`: that of a tool from another server."""

    id: UUID


def create_tool(*, workspace_id: UUID, **fields: Unpack[NewTool]) -> Tool:
    """Keep a new tool. Its function is not read: it runs in the sandbox, where it may be wrong.

    Raises BadRequest if the schema is no list of properties.
    """
    if "schema" in fields:
        check_schema(fields["schema"])
    now = timezone.now()
    tool = Tool(workspace_id=workspace_id, created_at=now, updated_at=now, **fields)
    tool.save(force_insert=True)
    return tool


@transaction.atomic
def update_tool(*, workspace_id: UUID, tool_id: object, **changes: Unpack[ToolChanges]) -> Tool:
    """Change what is given and keep the rest; runs find it so from now on. No change at all changes no date.

    Raises NotFound, and BadRequest if the schema is no list of properties.
    """
    tool = Tool.objects.select_for_update().get_for(workspace_id, pk=tool_id)
    if "schema" in changes:
        check_schema(changes["schema"])
    changed = [name for name, value in changes.items() if getattr(tool, name) != value]
    for name in changed:
        setattr(tool, name, changes[name])  # type: ignore[literal-required]  # the names of `changes` itself
    if changed:
        tool.updated_at = timezone.now()
        tool.save(update_fields=[*changed, "updated_at"])
    return tool


def delete_tool(*, workspace_id: UUID, tool_id: object) -> None:
    """Delete a tool for good; flows that name it say so when they run. Raises NotFound."""
    Tool.objects.get_for(workspace_id, pk=tool_id).delete()


def check_schema(text: str) -> None:
    """Raises BadRequest unless it is JSON text of a list of properties, each with a name and a known type."""
    try:
        rows = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise BadRequest(f"schema: not valid JSON: {exc}") from exc
    if not isinstance(rows, list):
        raise BadRequest(f"schema: expected JSON text of a list of {ROW}")
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or not isinstance(row.get("property"), str) or not row["property"]:
            raise BadRequest(f"schema[{index}]: expected {ROW}, with a property that is named")
        kind = row.get("type", "string")
        if not isinstance(kind, str) or kind not in TYPES:
            raise BadRequest(f"schema[{index}].type: expected one of {', '.join(TYPES)}")


class StoredTools:
    """The tools of one workspace, and of no other; implements `ToolSource`."""

    def __init__(self, workspace_id: UUID) -> None:
        self._workspace_id = workspace_id

    async def load(self, tool_id: str) -> ToolTemplate:
        """See `ToolSource.load`."""
        try:
            tool = await sync_to_async(Tool.objects.get_for)(self._workspace_id, pk=tool_id)
        except NotFound as exc:
            raise NodeInputError(
                f"There is no tool {tool_id!r} in this workspace: import it with `manage.py flows import`, choose "
                "another one, or put its function into 'customToolFunc'."
            ) from exc
        return ToolTemplate(tool.name, tool.description, tool.func, read_tool_schema(tool.schema))
