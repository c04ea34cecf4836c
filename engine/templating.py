"""Templates in a flow's inputs: parsed once, then joined in one pass, so a value is never searched for references."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, Concatenate, Final, ParamSpec, Protocol

import orjson
from markdownify import markdownify

REFERENCE = re.compile(r"\{\{([^{}]*)\}\}")
STEP = re.compile(r"""\[\s*(\d{1,9})\s*\]|\[\s*["']([^"']*)["']\s*\]|([^.\[\]]+)""")
JSON_MARK = re.compile(r'\\.|"|\{\{(?=[^{}]*\}\})', re.DOTALL)
PLACE = re.compile(r"\d{1,9}")  # in a list; more digits would be no place, and int() refuses some thousands of them
# What the rich text editor writes begins with one of these. Other tags are the author's own and stay.
RICH_TEXT = re.compile(r"\s*<(?:p|div|h[1-6]|ul|ol|blockquote|pre|table)\b[^>]*>", re.IGNORECASE)
UPDATES = "UpdateState"  # how the names of "Update Flow State" params end

MOST_REMEMBERED = 4096  # texts that are compiled
LONGEST_REMEMBERED = 4096  # characters

MISSING: Final = object()
Rest = ParamSpec("Rest")
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """`{{ root.path }}`; `text` is how it stood in the template."""

    root: str
    path: Path
    text: str
    is_quoted: bool = False  # stands between quotes in JSON text


class Scope(Protocol):
    """What references mean for one node run."""

    def look_up(self, reference: Reference) -> Any:
        """Its value, or MISSING. An unresolved reference stays in the text as it is."""
        ...

    def whole(self, reference: Reference, value: Any) -> Any:
        """What an input becomes that is nothing but this reference."""
        ...


class Late(str):
    """Text whose `{{ output }}` references wait until their node has run.

    To everybody else it is a text that still has them in it.
    """

    __slots__ = ("_parts",)
    _parts: tuple[str | Reference, ...]

    @classmethod
    def of(cls, parts: tuple[str | Reference, ...]) -> Late:
        late = cls("".join(part if isinstance(part, str) else part.text for part in parts))
        late._parts = parts
        return late

    def finish(self, output: str) -> Any:
        """The value now that the node's final text is known; a path into it is taken if the text is JSON."""
        values = [part if isinstance(part, str) else _of_output(part, output) for part in self._parts]
        return values[0] if len(values) == 1 else "".join(as_text(value) for value in values)


class Given(str):
    """Text that a caller gave: what looks like a reference in it is text."""

    __slots__ = ()


class Compiled(Protocol):
    """An input that differs from run to run."""

    def resolve(self, scope: Scope) -> Any: ...

    def references(self) -> Iterator[Reference]: ...


@dataclass(frozen=True, slots=True)
class Text:
    """Text with references in it."""

    parts: tuple[str | Reference, ...]
    waits: bool = False  # some references wait for the node's own output

    def resolve(self, scope: Scope) -> Any:
        if len(self.parts) == 1 and not self.waits:
            return self._whole(scope)
        if self.waits:
            return Late.of(tuple(p if isinstance(p, str) or p.root == "output" else _put(scope, p) for p in self.parts))
        return "".join([part if isinstance(part, str) else _put(scope, part) for part in self.parts])

    def references(self) -> Iterator[Reference]:
        return (part for part in self.parts if isinstance(part, Reference))

    def _whole(self, scope: Scope) -> Any:
        (reference,) = self.parts
        assert isinstance(reference, Reference)
        value = scope.look_up(reference)
        return reference.text if value is MISSING else scope.whole(reference, value)


@dataclass(frozen=True, slots=True)
class Items:
    items: tuple[Any, ...]

    def resolve(self, scope: Scope) -> list[Any]:
        return [resolve(item, scope) for item in self.items]

    def references(self) -> Iterator[Reference]:
        return (found for item in self.items for found in references_in(item))


@dataclass(frozen=True, slots=True)
class Fields:
    fields: Mapping[str, Any]

    def resolve(self, scope: Scope) -> dict[str, Any]:
        return {name: resolve(value, scope) for name, value in self.fields.items()}

    def references(self) -> Iterator[Reference]:
        return (found for value in self.fields.values() for found in references_in(value))


COMPILED = (Text, Items, Fields)
CompileText = Callable[[str], "str | Text"]


def resolve(value: Any, scope: Scope) -> Any:
    """A compiled value's value; anything else as it is."""
    return value.resolve(scope) if isinstance(value, COMPILED) else value


def references_in(value: Any) -> Iterator[Reference]:
    return value.references() if isinstance(value, COMPILED) else iter(())


def compile_value(value: Any, compile_text: CompileText) -> Any:
    """The value with its texts compiled, down to the last level; what holds no reference is left plain."""
    if isinstance(value, str):
        return value if isinstance(value, Given) else compile_text(value)
    if isinstance(value, list | tuple):
        items = tuple(compile_value(item, compile_text) for item in value)
        return Items(items) if any(isinstance(item, COMPILED) for item in items) else list(items)
    if isinstance(value, Mapping):
        fields = {name: compile_value(item, compile_text) for name, item in value.items()}
        return Fields(fields) if any(isinstance(item, COMPILED) for item in fields.values()) else fields
    return value


def _remembered(
    compile_text: Callable[Concatenate[str, Rest], str | Text],
) -> Callable[Concatenate[str, Rest], str | Text]:
    """Compiles what was compiled lately only once. Long texts are not kept: a few thousand would fill the memory."""
    known: Any = lru_cache(MOST_REMEMBERED)(compile_text)

    @wraps(compile_text)
    def compiled(text: str, /, *args: Rest.args, **how: Rest.kwargs) -> str | Text:
        return (known if len(text) <= LONGEST_REMEMBERED else compile_text)(text, *args, **how)

    return compiled


@_remembered
def agentflow_text(text: str, *, is_update: bool = False) -> str | Text:
    """A text of AgentFlow v2: every `{{ … }}` is a reference; rich text becomes Markdown."""
    if RICH_TEXT.match(text):
        text = _markdown(text)
    parts = _parts(text, lambda _: True, is_json=False)
    if all(isinstance(part, str) for part in parts):
        return text
    waits = is_update and any(isinstance(part, Reference) and part.root == "output" for part in parts)
    return Text(parts, waits)


@_remembered
def classic_text(text: str, *, accepts_variables: bool, is_json: bool) -> str | Text:
    """A text of a classic graph: `{{ … }}` that are no reference belong to the text, such as a prompt's braces."""

    def is_reference(reference: Reference) -> bool:
        if reference.path[:2] == ("data", "instance") or reference.root in ("$vars", "$flow"):
            return True
        return accepts_variables and not reference.path and reference.root in CLASSIC_VARIABLES

    parts = _parts(text, is_reference, is_json=is_json)
    return text if all(isinstance(part, str) for part in parts) else Text(parts)


CLASSIC_VARIABLES = frozenset({"question", "chat_history", "file_attachment"})


def take(value: Any, path: Path) -> Any:
    """What stands at the end of a path into plain data, or MISSING."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(str(step), MISSING)
        elif isinstance(value, list | tuple) and PLACE.fullmatch(str(step)) and int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return value


def as_text(value: Any) -> str:
    """How a value looks inside a text: itself, or JSON."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # what JSON can hold and orjson cannot: whole numbers of more than 64 bits, halves of surrogates
        return json.dumps(value, default=str, separators=(",", ":"))


def _parts(text: str, is_reference: Callable[[Reference], bool], *, is_json: bool) -> tuple[str | Reference, ...]:
    if "{{" not in text:
        return (text,)
    parts: list[str | Reference] = []
    end = 0
    quoted = _quoted_places(text) if is_json else frozenset()
    for found in REFERENCE.finditer(text):
        reference = _parse(found[1].strip(), found[0], found.start() in quoted)
        if reference is None or not is_reference(reference):
            continue
        if found.start() > end:
            parts.append(text[end : found.start()])
        parts.append(reference)
        end = found.end()
    if end < len(text):
        parts.append(text[end:])
    return tuple(parts)


def _parse(inner: str, text: str, is_quoted: bool) -> Reference | None:
    # Markdown editors escape the underscores of node ids.
    steps = STEP.findall(inner.replace("\\_", "_"))
    root, *path = [int(n) if n else key or name.strip() for n, key, name in steps] or [0]
    return Reference(root, tuple(path), text, is_quoted) if isinstance(root, str) else None


def _quoted_places(text: str) -> frozenset[int]:
    """Where references begin that stand between quotes of JSON text."""
    places: list[int] = []
    is_quoted = False
    for found in JSON_MARK.finditer(text):
        if found[0] == '"':
            is_quoted = not is_quoted
        elif is_quoted and found[0] == "{{":
            places.append(found.start())
    return frozenset(places)


def _put(scope: Scope, reference: Reference) -> str:
    value = scope.look_up(reference)
    if value is MISSING:
        return reference.text
    text = as_text(value)
    return orjson.dumps(text).decode()[1:-1] if reference.is_quoted else text


def _of_output(reference: Reference, output: str) -> Any:
    if not reference.path:
        return output
    try:
        value = take(orjson.loads(output), reference.path)
    except orjson.JSONDecodeError:
        return reference.text
    return reference.text if value is MISSING else value


def _markdown(html: str) -> str:
    try:
        text: str = markdownify(
            html, escape_asterisks=False, escape_underscores=False, escape_misc=False, heading_style="ATX"
        )
    except RecursionError:  # no editor nests tags so deeply: it is the author's own text
        return html
    return text.strip()
