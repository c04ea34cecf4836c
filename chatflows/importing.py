"""What files hold, put into a workspace: created where it is new, changed where it is there already."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeVar
from uuid import UUID, uuid5

from django.db.models import QuerySet

from chatflows.interchange import FlowFile, ToolFile, kind_in_words
from chatflows.models import Chatflow, Tool
from chatflows.services import Changes, create_chatflow, update_chatflow
from chatflows.tools import create_tool, update_tool
from forjinn.core.errors import BadRequest
from forjinn.core.ids import uuid7

Row = TypeVar("Row", Chatflow, Tool)


class Imported(NamedTuple):
    """Which flow or tool it is here, and what became of it."""

    id: UUID
    outcome: Literal["created", "updated", "unchanged"]


def import_flow(*, workspace_id: UUID, flow: FlowFile, author: str) -> Imported:
    """Save the flow: created, or a new version of the one that it is here already (see `_place`).

    A flow from another server keeps its id, by which pages and programs call it, unless somebody has that id here.
    Importing the same file again changes nothing. Raises BadRequest if several flows have the name, or the present one
    is of another kind: the file would mean something else there.
    """
    present, flow_id = _place(Chatflow.objects.all(), workspace_id, flow)
    if present is None:
        chatflow = create_chatflow(
            workspace_id=workspace_id,
            author=author,
            id=flow_id,
            name=flow.name,
            description=flow.description,
            kind=flow.kind,
            flow_data=flow.flow_data,
            category=flow.category,
            chatbot_config=flow.chatbot_config,
            api_config=flow.api_config,
        )
        return Imported(chatflow.pk, "created")
    if present.kind != flow.kind:
        raise BadRequest(f"'{flow.name}': the flow of this name is of type {present.kind}, the file of {flow.kind}")
    settings: Changes = {}
    if flow.id is not None:  # a file of the flow alone says nothing of these
        settings = {
            "category": flow.category,
            "chatbot_config": flow.chatbot_config,
            "api_config": flow.api_config,
        }
    updated = update_chatflow(
        workspace_id=workspace_id, chatflow_id=present.pk, author=author, flow_data=flow.flow_data, **settings
    )
    return Imported(present.pk, "unchanged" if updated.revision == present.revision else "updated")


def import_tool(*, workspace_id: UUID, tool: ToolFile) -> Imported:
    """Keep the tool: created, or changed where it is here already (see `_place`).

    A tool from another server keeps its id, by which flows name it, unless somebody has that id here.
    Importing the same file again changes nothing. Raises BadRequest if several tools have the name.
    """
    fields = {
        "name": tool.name,
        "description": tool.description,
        "color": tool.color,
        "icon_src": tool.icon_src,
        "schema": tool.schema,
        "func": tool.func,
    }
    present, tool_id = _place(Tool.objects.all(), workspace_id, tool)
    if present is None:
        return Imported(create_tool(workspace_id=workspace_id, id=tool_id, **fields).pk, "created")
    updated = update_tool(workspace_id=workspace_id, tool_id=present.pk, **fields)
    return Imported(present.pk, "unchanged" if updated.updated_at == present.updated_at else "updated")


def _place(rows: QuerySet[Row], workspace_id: UUID, held: FlowFile | ToolFile) -> tuple[Row | None, UUID]:
    """The row that this is in the workspace, if it is there already, and the id that it has or is to get.

    One that comes with an id is known by that alone, as two of an export may share a name: by the id itself, or, where
    somebody else has it, by one that is made of it and is the same at every import. All others are known by their name.
    """
    own = rows.filter(workspace_id=workspace_id)
    if held.id is None:
        namesakes = list(own.filter(name=held.name)[:2])
        if len(namesakes) > 1:
            raise BadRequest(f"'{held.name}': several {kind_in_words(held)}s have this name; rename all but one")
        return (namesakes[0], namesakes[0].pk) if namesakes else (None, uuid7())
    id_here = uuid5(workspace_id, str(held.id))
    if present := own.filter(pk__in=(held.id, id_here)).first():
        return present, present.pk
    return None, id_here if rows.filter(pk=held.id).exists() else held.id
