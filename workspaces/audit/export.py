"""The audit trail as a file: every entry that the query asks for, in batches, so that none is too long."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from forjinn.core.errors import BadRequest
from forjinn.core.jsontext import to_json
from forjinn.core.models import ScopedQuerySet
from forjinn.core.scopes import Scope, current, in_scope
from workspaces.audit.models import AuditEntry
from workspaces.audit.serializers import AuditEntrySerializer
from workspaces.audit.views import CHOICE, chosen

Told = dict[str, Any]  # an entry as the list shows it
Lines = Callable[[Iterable[Told], bool], bytes]  # of a batch, which may be the first

BATCH = 1000  # entries
MEDIA = {"jsonl": "application/x-ndjson", "csv": "text/csv"}
WHO = ("actorKind", "actorId", "actorName", "address", "requestId")
COLUMNS = ("id", "date", *WHO, "resource", "action", "rowId", "rowName", "before", "after")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute


class AsAsked(BaseContentNegotiation):
    """The query says which format is wanted; refusals are JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class AuditExportView(APIView):
    """Who changed what in the workspace, as a file."""

    needs = {"GET": "audit:view"}
    content_negotiation_class = AsAsked

    @extend_schema(
        operation_id="audit_export",
        summary="Download who changed what, newest first: the entries of the list, all of them.",
        parameters=[OpenApiParameter("format", str, enum=list(MEDIA), default="jsonl"), *CHOICE],
        responses={
            (200, MEDIA["jsonl"]): OpenApiResponse(str, description="An entry a line."),
            (200, MEDIA["csv"]): OpenApiResponse(str, description="`before` and `after` as JSON."),
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        file_format = request.query_params.get("format", "jsonl")
        if file_format not in MEDIA:
            raise BadRequest(f"format: expected one of {', '.join(MEDIA)}")
        lines = _as_csv if file_format == "csv" else _as_json
        return StreamingHttpResponse(
            _written(chosen(request), current(), lines),
            content_type=MEDIA[file_format],
            headers={
                "Content-Disposition": f'attachment; filename="audit.{file_format}"',
                "X-Content-Type-Options": "nosniff",
            },
        )


async def _written(entries: ScopedQuerySet[AuditEntry], scope: Scope, lines: Lines) -> AsyncIterator[bytes]:
    """The file, batch by batch. A batch at a time is read in the scope: whoever reads the file is outside of it."""
    batch = await in_scope(scope, _read, entries)
    yield lines(batch, True)
    while len(batch) == BATCH:
        batch = await in_scope(scope, _read, entries.filter(pk__lt=batch[-1]["id"]))
        yield lines(batch, False)


def _read(entries: ScopedQuerySet[AuditEntry]) -> list[Told]:
    return [AuditEntrySerializer().to_representation(entry) for entry in entries[:BATCH]]


def _as_json(batch: Iterable[Told], is_first: bool) -> bytes:
    return b"".join(to_json(entry) + b"\n" for entry in batch)


def _as_csv(batch: Iterable[Told], is_first: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    if is_first:
        writer.writerow(COLUMNS)
    for entry in batch:
        actor = {f"actor{name.capitalize()}": value for name, value in entry["actor"].items() if name != "address"}
        flat = {**entry, **actor, "address": entry["actor"]["address"]}
        writer.writerow(_cell(flat[column]) for column in COLUMNS)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    """No name may be a formula to the spreadsheet that opens the file."""
    text = "" if value is None else value if isinstance(value, str) else to_json(value).decode()
    return f"'{text}" if text.startswith(FORMULA) else text
