"""Document stores that a flow only names: are they in its workspace, and is anything in them?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from engine.checks.nodes import Place, places_of
from engine.checks.problem import Problem
from engine.document_stores import shown, store_id
from engine.flow import Drawing

CLASSIC = frozenset({"documentStoreVS", "documentStore"})
SELECTED = "selectedStore"  # by these, and by rows of the lists below
LISTS = ("agentKnowledgeDocumentStores", "retrieverKnowledgeDocumentStores")
CHOSEN = "documentStore"


def store_problems(drawing: Drawing, stores: Mapping[str, bool]) -> Iterator[Problem]:
    """A warning for each store that a node names and that is not there, or has nothing in it.

    `stores`: the ids of those of the workspace, and whether something has been upserted to them.
    """
    for place in places_of(drawing):
        for field, reference in _references(place):
            if not stores.get(store_id(reference)):
                yield _problem(place, field, reference, is_there=store_id(reference) in stores)


def _problem(place: Place, field: str, reference: str, *, is_there: bool) -> Problem:
    if is_there:
        message = f"there is nothing in the document store {shown(reference)} yet"
        fix = f"upsert it, with POST /api/v1/document-store/upsert/{store_id(reference)}"
    else:
        message = (
            f"the document store {shown(reference)} is not in this workspace; an exported flow carries only its id"
        )
        fix = "create and fill one, with POST /api/v1/document-store/store, and choose it"
    subject = field.rpartition(".")[2]
    return place.problem(message, fix, field=field, severity="warning", code="needs_value", subject=subject)


def _references(place: Place) -> Iterator[tuple[str, str]]:
    """The fields that name a store, and what they say; a reference to a variable is known only when the flow runs."""
    if place.name in CLASSIC:
        yield from _named(SELECTED, place.inputs.get(SELECTED))
    for name in LISTS:
        for index, row in enumerate(_rows(place.inputs.get(name))):
            if isinstance(row, Mapping):
                yield from _named(f"{name}[{index}].{CHOSEN}", row.get(CHOSEN))


def _named(field: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and value and "{{" not in value:
        yield field, value


def _rows(held: Any) -> list[Any]:
    """Some exports carry lists as JSON text."""
    try:
        rows = orjson.loads(held) if isinstance(held, str) and held else held
    except orjson.JSONDecodeError:
        return []
    return rows if isinstance(rows, list) else []
