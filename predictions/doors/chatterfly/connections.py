"""Credentials that come with a run: which its flow needs, whether what was sent is that, and their sealing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from chatflows.records import FlowRecord
from engine.credential_kinds import CREDENTIAL_KINDS
from forjinn.core.crypto import seal
from predictions.inputs import Problem
from predictions.pool import Pool, borrowed

# A flow names a credential by its id, wherever that stands in it.
NAMED = """
SELECT credential.slug, credential.kind, strpos(version.flow_data, credential.id::text) > 0
FROM workspaces_credential credential, chatflows_chatflowversion version
WHERE credential.workspace_id = %b AND credential.fulfillment = 'caller' AND version.id = %b ORDER BY credential.slug
"""


@dataclass(frozen=True, slots=True)
class Connection:
    """What callers of a workspace may bring; `kind` is one of `engine.credential_kinds`."""

    slug: str
    kind: str
    is_needed: bool


async def read_connections(
    pool: Pool, flow: FlowRecord, given: Mapping[str, Any]
) -> tuple[dict[str, str], list[Problem]]:
    """What was given, sealed, by slug; and what is wrong with it."""
    async with borrowed(pool) as connection:
        rows = await (await connection.execute(NAMED, [flow.workspace_id, flow.version_id])).fetchall()
    known = [Connection(*row) for row in rows]
    problems = list(_problems(known, given))
    if problems:
        return {}, problems
    needed = [one.slug for one in known if one.is_needed]  # the others are not kept: nobody would use them
    return {slug: seal(orjson.dumps(given[slug]).decode()) for slug in needed}, []


def _problems(known: list[Connection], given: Mapping[str, Any]) -> Iterator[Problem]:
    for connection in known:
        if connection.slug in given:
            yield from _problems_of(connection, given[connection.slug])
        elif connection.is_needed:
            yield Problem(f"connections.{connection.slug}", "is required: this workflow takes it from its callers")
    wanted = ", ".join(one.slug for one in known if one.is_needed) or "none"
    for slug in given.keys() - {one.slug for one in known}:
        yield Problem(f"connections.{slug[:80]}", f"is not known; this workflow takes: {wanted}")


def _problems_of(connection: Connection, fields: Any) -> Iterator[Problem]:
    """Nothing of a value is ever told."""
    where = f"connections.{connection.slug}"
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        yield Problem(where, "must be an object of texts")
        return
    kind = CREDENTIAL_KINDS.get(connection.kind)
    if kind is None:
        return
    for field in kind.fields:
        if not field.optional and not fields.get(field.name):
            yield Problem(f"{where}.{field.name}", "is required")
    for name in fields.keys() - {field.name for field in kind.fields}:
        yield Problem(
            f"{where}.{name[:80]}", f"is not known; expected {', '.join(field.name for field in kind.fields)}"
        )
