"""What Notion's blocks and properties say, as Markdown and as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

PREFIXES = {
    "heading_1": "# ",
    "heading_2": "## ",
    "heading_3": "### ",
    "bulleted_list_item": "- ",
    "numbered_list_item": "1. ",  # Markdown counts for itself
    "toggle": "- ",
    "quote": "> ",
    "callout": "> ",
}
MARKS = (("code", "`"), ("bold", "**"), ("italic", "_"), ("strikethrough", "~~"))
LINKED = frozenset({"image", "video", "file", "pdf", "audio", "bookmark", "embed", "link_preview"})


def rich_text(parts: Any) -> str:
    """A run of formatted text. What is no such run says nothing."""
    return "".join(_marked(part) for part in parts if isinstance(part, Mapping)) if isinstance(parts, list) else ""


def block_text(block: Mapping[str, Any]) -> str:
    """A block without what stands inside it; empty for one that only holds others or says nothing."""
    kind = str(block.get("type"))
    said = block.get(kind)
    if kind == "divider":
        return "---"
    if not isinstance(said, Mapping):
        return ""
    if kind == "table_row":
        return f"| {' | '.join(rich_text(cell) for cell in said.get('cells') or ())} |"
    if kind == "code":
        return f"```{said.get('language') or ''}\n{_plain(said.get('rich_text'))}\n```"
    if kind == "equation":
        return f"$${said.get('expression') or ''}$$"
    if kind in LINKED:
        return _link(said)
    text = rich_text(said.get("rich_text"))
    prefix = f"- [{'x' if said.get('checked') else ' '}] " if kind == "to_do" else PREFIXES.get(kind, "")
    return f"{prefix}{text}" if text else ""


def table_text(rows: list[str]) -> str:
    """The rows of a table, with the line below the first one that makes it a table in Markdown."""
    if not rows:
        return ""
    columns = rows[0].count(" | ") + 1
    return "\n".join((rows[0], f"|{' --- |' * columns}", *rows[1:]))


def property_text(value: Any) -> str:
    """A property of a page; empty for one that is not set, or of a kind that says nothing in text."""
    if not isinstance(value, Mapping):
        return ""
    kind = str(value.get("type"))
    said = value.get(kind)
    return "" if said is None else READERS.get(kind, _words)(said)


def properties_text(shown: Mapping[str, str]) -> str:
    """Properties as the header of a Markdown text."""
    lines = "\n".join(f"{name}: {' '.join(value.split())}" for name, value in shown.items())
    return f"---\n{lines}\n---\n\n"


def _marked(part: Mapping[str, Any]) -> str:
    text = str(part.get("plain_text") or "")
    said = text.strip()
    if not said:
        return text
    before, _, after = text.partition(said)
    annotations = part.get("annotations") or {}
    for name, mark in MARKS:
        if annotations.get(name):
            said = f"{mark}{said}{mark}"
    if href := part.get("href"):
        said = f"[{said}]({href})"
    return f"{before}{said}{after}"  # marks next to a blank would be none


def _plain(parts: Any) -> str:
    return "".join(str(part.get("plain_text") or "") for part in parts or ())


def _link(said: Mapping[str, Any]) -> str:
    place = said.get(str(said.get("type"))) or said  # a file is in a box named after where it is
    url = place.get("url") if isinstance(place, Mapping) else None
    return f"[{rich_text(said.get('caption')) or url}]({url})" if url else ""


def _words(said: Any) -> str:
    if isinstance(said, bool):
        return "true" if said else "false"
    return str(said)


def _name(said: Any) -> str:
    return str(said.get("name") or said.get("id") or "") if isinstance(said, Mapping) else str(said)


def _names(said: Iterable[Any]) -> str:
    return ", ".join(_name(item) for item in said)


def _date(said: Any) -> str:
    return " – ".join(str(said[end]) for end in ("start", "end") if said.get(end))  # noqa: RUF001 -- a range of dates


def _number(said: Any) -> str:
    return "-".join(str(said[part]) for part in ("prefix", "number") if said.get(part) is not None)


def _list(said: Iterable[Any]) -> str:
    return ", ".join(filter(None, map(property_text, said)))


def _rollup(said: Any) -> str:
    return _list(said.get("array") or ()) if said.get("type") == "array" else property_text(said)


READERS: Mapping[str, Callable[[Any], str]] = {
    "title": rich_text,
    "rich_text": rich_text,
    "select": _name,
    "status": _name,
    "multi_select": _names,
    "people": _names,
    "files": _names,
    "relation": _names,
    "created_by": _name,
    "last_edited_by": _name,
    "date": _date,
    "formula": property_text,
    "rollup": _rollup,
    "unique_id": _number,
}
