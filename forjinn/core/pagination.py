"""Pages of a list: a bare JSON array, with the total and the neighbouring pages in headers."""

from __future__ import annotations

import re
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from forjinn.core.errors import BadRequest

DEFAULT_LIMIT = 20
MAX_LIMIT = 1000
MAX_PAGE = 1_000_000  # far enough for everybody, and no overflow in OFFSET

# How a list describes its pages in the API's schema; the second, one whose pages follow each other.
PAGE_PARAMETERS = [
    OpenApiParameter("page", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 1}),
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
    OpenApiParameter("X-Total-Count", int, "header", response=[200], description="Rows on all pages together."),
    OpenApiParameter("Link", str, "header", response=[200], description="The neighbouring pages, as in RFC 8288."),
]
AFTER_PARAMETERS = [PAGE_PARAMETERS[1], PAGE_PARAMETERS[3]]

ModelT = TypeVar("ModelT", bound=Model)
RowT = TypeVar("RowT")


def page_of(rows: QuerySet[ModelT, RowT], request: Request) -> tuple[list[RowT], dict[str, str]]:
    """The rows of the page that `?page=` and `?limit=` ask for, and the headers that go with them.

    `X-Total-Count` counts all pages; `Link` names the first, previous, next and last page (RFC 8288). A page after
    the last is empty. Raises BadRequest naming the parameter that is not a whole number in range.
    """
    page = _whole_number(request, "page", default=1, most=MAX_PAGE)
    limit = _whole_number(request, "limit", default=DEFAULT_LIMIT, most=MAX_LIMIT)
    start = (page - 1) * limit
    total = rows.count()
    found = list(rows[start : start + limit]) if start < total else []
    return found, {"X-Total-Count": str(total), "Link": _links(request, page, limit, total)}


def page_after(rows: QuerySet[ModelT, RowT], request: Request) -> tuple[list[RowT], dict[str, str]]:
    """The first `?limit=` of these rows, which begin behind the one that `?before=` names; nothing is counted.

    `Link` names the next page, which begins behind the last row. Raises BadRequest for a limit, or a page, that is
    none; a page has no meaning beside `?before=`.
    """
    _whole_number(request, "page", default=1, most=MAX_PAGE)
    limit = _whole_number(request, "limit", default=DEFAULT_LIMIT, most=MAX_LIMIT)
    found = list(rows[: limit + 1])
    if len(found) <= limit:
        return found, {}
    last: Any = found[limit - 1]
    kept = [
        (name, value)
        for name, values in request.query_params.lists()
        if name not in ("before", "page", "apiKey")
        for value in values
    ]
    address = f"{request.path}?{urlencode([*kept, ('before', last.pk)])}"
    return found[:limit], {"Link": f'<{address}>; rel="next"'}


def _whole_number(request: Request, name: str, *, default: int, most: int) -> int:
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise BadRequest(f"{name}: given more than once")
    text = values[0] if values else ""
    if text == "":
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        raise BadRequest(f"{name}: expected a whole number from 1 to {most}, got '{text[:40]}'")
    return int(text)


def _links(request: Request, page: int, limit: int, total: int) -> str:
    last = max(1, -(-total // limit))
    pages = {"first": 1, "prev": min(page - 1, last), "next": page + 1, "last": last}
    return ", ".join(
        f'<{_address(request, number, limit)}>; rel="{rel}"' for rel, number in pages.items() if 1 <= number <= last
    )


def _address(request: Request, page: int, limit: int) -> str:
    """Relative to the server: its public name is the client's business. A key in the query is not repeated."""
    params: list[tuple[str, Any]] = [
        (name, value)
        for name, values in request.query_params.lists()
        if name not in ("page", "limit", "apiKey")
        for value in values
    ]
    return f"{request.path}?{urlencode([*params, ('page', page), ('limit', limit)])}"
