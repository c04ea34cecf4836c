"""Readers of files: bytes in, documents out. All of them may take long, so they are called in a thread."""

from __future__ import annotations

import csv
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from bs4.element import CData, NavigableString, Tag

from engine.errors import NodeError, NodeInputError
from engine.files import File
from engine.providers.base import Document

INSTALL = "pip install 'forjinn[retrieval]'"
MOST_UNPACKED = 512 * 1024 * 1024
DEEPEST = 256  # levels of a page in which selectors look
UNSEEN = ("script", "style", "noscript", "template")
BLOCKS = (
    "address", "article", "aside", "blockquote", "br", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption",
    "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol",
    "option", "p", "pre", "section", "summary", "table", "tr", "ul", "ac:plain-text-body",
)  # fmt: skip


def read_text(file: File) -> list[Document]:
    """The file as one document."""
    return [Document(file.text, {"source": file.name})]


def read_pdf(file: File, *, by_page: bool = True) -> list[Document]:
    """One document a page, or one for all. Raises NodeInputError for a file that is no PDF, or has a password."""
    try:
        from pypdf import PdfReader
    except ImportError as exc:
        raise NodeError(f"PDF files cannot be read on this server: {INSTALL}") from exc
    try:
        pages = [page.extract_text() for page in PdfReader(io.BytesIO(file.content)).pages]
    except Exception as exc:
        # What is broken in a PDF shows itself in errors of every class, PyPdfError the least of them.
        raise NodeInputError(f"{file.name} is no PDF that can be read: {exc}") from exc
    about = {"source": file.name, "pdf": {"totalPages": len(pages)}}
    if not by_page:
        return [Document("\n\n".join(pages), about)]
    return [Document(text, {**about, "loc": {"pageNumber": number}}) for number, text in enumerate(pages, 1)]


def read_docx(file: File) -> list[Document]:
    """The text of a Word document. Raises NodeInputError for a file that is none."""
    try:
        import docx2txt
    except ImportError as exc:
        raise NodeError(f"Word files cannot be read on this server: {INSTALL}") from exc
    try:
        _check_size(file)
        # By its path: what the package does with an open file differs between its versions.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "file.docx")
            path.write_bytes(file.content)
            text = docx2txt.process(str(path))
    except NodeInputError:
        raise
    except Exception as exc:
        # Zip, XML and key errors, each of its own class: all of them say that this is no Word document.
        raise NodeInputError(f"{file.name} is no Word document (.docx) that can be read.") from exc
    return [Document(text, {"source": file.name})]


def _check_size(file: File) -> None:
    """A small archive may hold any amount of the same letter."""
    with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_UNPACKED:
            raise NodeInputError(f"{file.name} unpacks to more than {MOST_UNPACKED // 1024**2} MB.")


def read_csv(file: File, *, column: str = "") -> list[Document]:
    """One document a row, `name: value` a line; of one column alone if it is named. Raises NodeInputError."""
    rows = csv.DictReader(io.StringIO(file.text), restkey="", restval="", strict=True)
    try:
        if column and column not in (rows.fieldnames or ()):
            raise NodeInputError(f"{file.name} has no column {column!r}: {', '.join(rows.fieldnames or ())}.")
        return [
            Document(
                row[column] if column else "\n".join(f"{name}: {value}" for name, value in row.items() if name),
                {"source": file.name, "line": line},
            )
            for line, row in enumerate(rows, 1)
        ]
    except csv.Error as exc:
        raise NodeInputError(f"{file.name} is no CSV file that can be read: {exc}.") from exc


def read_json(
    file: File, *, pointers: tuple[str, ...] = (), by_object: bool = False, known: Mapping[str, str] | None = None
) -> list[Document]:
    """A document for each text in it, or only for those below the pointers; `by_object`: for each item of its list.

    `known`: metadata by pointers, such as {"page": "/source"}, that lead to it in the item that a text is of.
    """
    try:
        content = json.loads(file.text)
    except ValueError as exc:
        raise NodeInputError(f"{file.name} is no JSON: {exc}.") from exc
    found: list[tuple[str, dict[str, Any]]] = []
    for item in content if isinstance(content, list) else [content]:
        texts = [_lines(item)] if by_object else [text for part in _below(item, pointers) for text in _texts(part)]
        found += [(text, _known(item, known)) for text in texts]
    return [
        Document(text, {"source": file.name, "line": number, **about}) for number, (text, about) in enumerate(found, 1)
    ]


def read_jsonl(file: File, *, pointer: str, known: Mapping[str, str] | None = None) -> list[Document]:
    """A document a line: what the pointer, such as `/text`, leads to. `known`: see `read_json`.

    Raises NodeInputError for a line of no JSON.
    """
    documents = []
    # Other ends of lines that Python knows may stand inside a text.
    for number, line in enumerate(file.text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except ValueError as exc:
            raise NodeInputError(f"Line {number} of {file.name} is no JSON: {exc}.") from exc
        text = "\n".join(_texts(_at(item, pointer))) if pointer else _lines(item)
        documents.append(Document(text, {"source": file.name, "line": number, **_known(item, known)}))
    return documents


def read_html(file: File) -> list[Document]:
    """The text of a page, and its title."""
    text, title = page_text(file.text)
    return [Document(text, {"source": file.name, **({"title": title} if title else {})})]


def page_text(html: str, selector: str = "", *, excluded: str = "") -> tuple[str, str]:
    """What a reader sees of a page, or of the parts that a CSS selector chooses, without excluded ones; and its title.

    Raises NodeInputError for a selector that is none.
    """
    page = BeautifulSoup(html, "html.parser")
    title = _title(page)
    lines = (" ".join(line.split()) for part in _parts(page, selector, excluded) for line in _seen(part).splitlines())
    return "\n".join(line for line in lines if line), title


def page_html(html: str, selector: str = "", *, excluded: str = "") -> tuple[str, str]:
    """The same as HTML."""
    page = BeautifulSoup(html, "html.parser")
    title = _title(page)
    return "\n".join(part.decode_contents() for part in _parts(page, selector, excluded)), title


def _title(page: BeautifulSoup) -> str:
    return page.title.get_text(strip=True) if page.title else ""


def _parts(page: BeautifulSoup, selector: str, excluded: str) -> list[Tag]:
    for hidden in (*page(UNSEEN), *_selected(page, excluded)):
        hidden.decompose()
    return _selected(page, selector) if selector else [page.body or page]


def _selected(page: BeautifulSoup, selector: str) -> list[Tag]:
    if not selector:
        return []
    _check_depth(page)
    try:
        return list(page.select(selector))
    except Exception as exc:
        # The parser of selectors raises classes of a package that is not ours to name.
        raise NodeInputError(f"{selector!r} is no CSS selector.") from exc


def _check_depth(page: BeautifulSoup) -> None:
    """A selector looks at all that is around an element, so what it takes grows with a power of the depth."""
    depths = {id(page): 0}
    for element in page.descendants:
        if isinstance(element, Tag):
            depths[id(element)] = depth = depths[id(element.parent)] + 1
            if depth > DEEPEST:
                raise NodeInputError(
                    f"The page is nested more than {DEEPEST} levels deep: leave CSS selectors away to read all of it."
                )


def _seen(part: Tag) -> str:
    """Its text with line breaks where a reader sees them: around blocks, not around a word in bold.

    One walk: changing the tree on the way takes the square of its depth, which a hostile page can make of any size.
    """
    pieces: list[str] = []
    inside, names, pres = [iter(part.contents)], [part.name], int(part.name == "pre")
    while inside:
        child = next(inside[-1], None)
        if child is None:
            inside.pop()
            name = names.pop()
            pres -= name == "pre"
            pieces.append("\n" if name in BLOCKS else " " if name in ("td", "th") else "")
        elif isinstance(child, Tag):
            inside.append(iter(child.contents))
            names.append(child.name)
            pres += child.name == "pre"
            pieces.append("\n" if child.name in BLOCKS else "")
        elif isinstance(child, CData) or type(child) is NavigableString:  # comments and the like are not seen
            pieces.append(str(child) if pres or isinstance(child, CData) else str(child).replace("\n", " "))
    return "".join(pieces)


BY_EXTENSION: Mapping[str, Callable[[File], list[Document]]] = {
    "pdf": read_pdf,
    "docx": read_docx,
    "csv": read_csv,
    "json": read_json,
    "jsonl": lambda file: read_jsonl(file, pointer=""),
    "html": read_html,
    "htm": read_html,
}


def read_any(file: File) -> list[Document]:
    """Read by its extension; what has none that is known here is read as text."""
    return BY_EXTENSION.get(file.extension, read_text)(file)


def _lines(item: Any, above: str = "") -> str:
    """A name and a value a line; names within names with dots."""
    if isinstance(item, Mapping):
        return "\n".join(
            _lines(value, f"{above}{name}.")
            if isinstance(value, Mapping)
            else f"{above}{name}: {value if isinstance(value, str) else json.dumps(value)}"
            for name, value in item.items()
        )
    return item if isinstance(item, str) else json.dumps(item)


def _below(item: Any, pointers: tuple[str, ...]) -> list[Any]:
    return [_at(item, pointer) for pointer in pointers] if pointers else [item]


def _known(item: Any, pointers: Mapping[str, str] | None) -> dict[str, Any]:
    return {name: _at(item, pointer) for name, pointer in (pointers or {}).items()}


def _at(item: Any, pointer: str) -> Any:
    for step in filter(None, pointer.strip().split("/")):
        if isinstance(item, list) and step.isdecimal() and int(step) < len(item):
            item = item[int(step)]
        else:
            item = item.get(step) if isinstance(item, Mapping) else None
    return item


def _texts(content: Any) -> Iterator[str]:
    """Every text in it, in order."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping | list):
        for part in content.values() if isinstance(content, Mapping) else content:
            yield from _texts(part)
