"""Sealing every secret anew with the first of ENCRYPTION_KEYS, so that the others can go."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.apps import apps
from django.db import connection, transaction
from django.db.models import Model

from forjinn.core.crypto import SealBroken, SealedTextField, is_sealed_with_first, seal, unseal
from forjinn.core.scopes import current, system_scope

BATCH = 500  # rows of one transaction

# What came with a run: credentials of its caller, and secrets of its hooks.
READ_RUNS = """
SELECT id, request->'connections', request->'hooks' FROM predictions_execution
WHERE (%s::uuid IS NULL OR id > %s) AND (request ? 'connections' OR request ? 'hooks') ORDER BY id LIMIT %s
"""
# Nothing that changed since: connections go when their run ends.
WRITE_RUN = """
UPDATE predictions_execution SET request = request || %s::jsonb
WHERE id = %s AND request->'connections' IS NOT DISTINCT FROM %s::jsonb
    AND request->'hooks' IS NOT DISTINCT FROM %s::jsonb
"""


@dataclass(slots=True)
class Tally:
    """How far one place is: rows that hold secrets, those that were (or would be) sealed anew, those nothing opens."""

    name: str
    rows: int = 0
    renewed: int = 0
    lost: list[str] = field(default_factory=list)


class Place(Protocol):
    """Where secrets are kept."""

    name: str

    def read(self, after: Any) -> Sequence[tuple[Any, Any]]:
        """The next rows behind this id (None: the first), each as its id and what is sealed in it."""

    def renewed(self, value: Any) -> Any:
        """What is to stand there instead; the same if it can stay. Raises SealBroken."""

    def write(self, row_id: Any, value: Any, new: Any) -> None:
        """Put it there, unless the row has changed since it was read."""


class Column:
    """A column of sealed texts."""

    def __init__(self, model: type[Model], column: str) -> None:
        self.name = f"{model._meta.db_table}.{column}"
        self._rows = model._base_manager.exclude(**{column: ""})
        self._column = column

    def read(self, after: Any) -> Sequence[tuple[Any, Any]]:
        rows = self._rows if after is None else self._rows.filter(pk__gt=after)
        return list(rows.order_by("pk").values_list("pk", self._column)[:BATCH])

    def renewed(self, value: str) -> str:
        return _reseal(value)

    def write(self, row_id: Any, value: str, new: str) -> None:
        self._rows.filter(pk=row_id, **{self._column: value}).update(**{self._column: new})


class RunSecrets:
    """What runs keep of their callers' secrets, within JSON."""

    name = "predictions_execution.request"

    def read(self, after: Any) -> Sequence[tuple[Any, Any]]:
        with connection.cursor() as cursor:
            cursor.execute(READ_RUNS, [after, after, BATCH])
            return [(row_id, (connections, hooks)) for row_id, connections, hooks in cursor.fetchall()]

    def renewed(self, value: tuple[str | None, str | None]) -> tuple[str | None, str | None]:
        connections, hooks = (part and json.loads(part) for part in value)
        told = {slug: _reseal(sealed) for slug, sealed in (connections or {}).items()}
        listed = [{**hook, "secret": _reseal(hook["secret"])} if hook.get("secret") else hook for hook in hooks or ()]
        if (told, listed) == (connections or {}, hooks or []):
            return value
        return connections and json.dumps(told), hooks and json.dumps(listed)

    def write(self, row_id: Any, value: tuple[str | None, str | None], new: tuple[str | None, str | None]) -> None:
        parts = {name: json.loads(part) for name, part in zip(("connections", "hooks"), new, strict=True) if part}
        with connection.cursor() as cursor:
            cursor.execute(WRITE_RUN, [json.dumps(parts), row_id, *value])


def places() -> Iterator[Place]:
    """Every place that holds sealed secrets."""
    for model in apps.get_models():
        for column in model._meta.concrete_fields:
            if isinstance(column, SealedTextField):
                yield Column(model, column.name)
    yield RunSecrets()


def rotate(*, is_dry: bool, tell: Callable[[Tally], None]) -> list[Tally]:
    """Seal anew what is not sealed with the first key; `tell` hears of each batch. Safe to be ended and begun again.

    A dry run only counts.
    """
    with system_scope(current().actor):  # secrets of all workspaces
        return [_rotate(place, is_dry=is_dry, tell=tell) for place in places()]


def _rotate(place: Place, *, is_dry: bool, tell: Callable[[Tally], None]) -> Tally:
    tally, after = Tally(place.name), None
    while batch := place.read(after):
        with transaction.atomic():
            for row_id, value in batch:
                _renew(place, row_id, value, tally, is_dry=is_dry)
        after = batch[-1][0]
        tell(tally)
    return tally


def _renew(place: Place, row_id: Any, value: Any, tally: Tally, *, is_dry: bool) -> None:
    tally.rows += 1
    try:
        new = place.renewed(value)
    except SealBroken:
        tally.lost.append(str(row_id))
        return
    if new != value:
        tally.renewed += 1
        if not is_dry:
            place.write(row_id, value, new)


def _reseal(sealed: str) -> str:
    return sealed if is_sealed_with_first(sealed) else seal(unseal(sealed))
