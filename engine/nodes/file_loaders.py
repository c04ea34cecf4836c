"""Loaders of text and files."""

from __future__ import annotations

import json

from engine import readers
from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import values
from engine.nodes.loading import loaded, loaded_files, loader_spec
from engine.providers.base import Document
from engine.spec import Inputs, NodeResult, NodeType, Param

PLAIN = loader_spec(
    "plainText",
    "Plain Text",
    2,
    "The text that is written here.",
    Param("text", "string", "Text", help="Any text."),
)
TEXT = loader_spec(
    "textFile",
    "Text File",
    3,
    "Text files, source code and Markdown among them.",
    Param("txtFile", "file", "Txt File", help="One or more text files."),
)
PDF = loader_spec(
    "pdfFile",
    "Pdf File",
    2,
    "PDF files.",
    Param("pdfFile", "file", "Pdf File", help="One or more PDF files."),
    Param(
        "usage",
        "options",
        "Usage",
        default="perPage",
        optional=True,
        options=("perPage", "perFile"),
        help="What is one document: a page or the file.",
    ),
)
DOCX = loader_spec(
    "docxFile",
    "Docx File",
    1,
    "Word documents.",
    Param("docxFile", "file", "Docx File", help="One or more Word documents."),
)
CSV = loader_spec(
    "csvFile",
    "Csv File",
    3,
    "Tables: each row is a document.",
    Param("csvFile", "file", "Csv File", help="One or more CSV files."),
    Param("columnName", "string", "Single Column Extraction", optional=True, help="The only column that is taken."),
)
JSON = loader_spec(
    "jsonFile",
    "Json File",
    3,
    "JSON files: each text in one is a document.",
    Param("jsonFile", "file", "Json File", help="One or more JSON files."),
    Param("separateByObject", "boolean", "Separate by JSON Object", optional=True, help="Each item of a list is one."),
    Param("pointersName", "string", "Pointers Extraction", optional=True, help="Only what these lead to, by commas."),
)
JSONL = loader_spec(
    "jsonlinesFile",
    "Json Lines File",
    3,
    "JSON by lines: each line is a document.",
    Param("jsonlinesFile", "file", "Jsonlines File", help="One or more JSON Lines files."),
    Param("pointerName", "string", "Pointer Extraction", help="What is taken of each line, such as text."),
)
ANY = loader_spec(
    "fileLoader",
    "File Loader",
    2,
    "Files of any kind, read by their extension.",
    Param("file", "file", "File", help="PDF, Word, CSV, JSON, HTML and text files."),
)


async def run_plain(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The text as one document. Raises NodeInputError if there is none."""
    text = values.text(inputs, "text")
    if not text:
        raise NodeInputError("There is no text: write it into 'text'.")

    async def read() -> list[Document]:
        return [Document(text)]

    return await loaded(ctx, inputs, read)


async def run_text(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A document a file."""
    return await loaded_files(ctx, inputs, "txtFile", readers.read_text)


async def run_pdf(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A document a page, or a file."""
    by_page = values.text(inputs, "usage", "perPage") != "perFile"
    return await loaded_files(ctx, inputs, "pdfFile", lambda file: readers.read_pdf(file, by_page=by_page))


async def run_docx(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A document a file."""
    return await loaded_files(ctx, inputs, "docxFile", readers.read_docx)


async def run_csv(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A document a row."""
    column = values.text(inputs, "columnName")
    return await loaded_files(ctx, inputs, "csvFile", lambda file: readers.read_csv(file, column=column))


async def run_json(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A document a text in the file, or an item of its list."""
    by_object = values.flag(inputs, "separateByObject")
    pointers = _pointers(values.text(inputs, "pointersName"))
    inputs, known = _known(inputs)
    return await loaded_files(
        ctx,
        inputs,
        "jsonFile",
        lambda file: readers.read_json(file, pointers=pointers, by_object=by_object, known=known),
    )


async def run_jsonl(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A document a line."""
    pointer = values.text(inputs, "pointerName")
    inputs, known = _known(inputs)
    return await loaded_files(
        ctx, inputs, "jsonlinesFile", lambda file: readers.read_jsonl(file, pointer=pointer, known=known)
    )


async def run_any(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Read by its extension."""
    return await loaded_files(ctx, inputs, "file", readers.read_any)


def _pointers(text: str) -> tuple[str, ...]:
    """Names by commas, as people type them, or a JSON list, as the API sends it."""
    try:
        names = json.loads(text) if text.lstrip().startswith("[") else text.split(",")
    except ValueError:
        names = text.split(",")
    return tuple(str(name).strip() for name in names if str(name).strip())


def _known(inputs: Inputs) -> tuple[Inputs, dict[str, str]]:
    """The inputs with the metadata that is the same for all documents, and pointers to what each has of its own."""
    metadata = values.mapping(inputs, "metadata")
    known = {name: value for name, value in metadata.items() if isinstance(value, str) and value.startswith("/")}
    if not known:
        return inputs, {}
    # Which pointers there are has to change the source's key as well, so they stay among the inputs.
    same = {name: value for name, value in metadata.items() if name not in known}
    return {**inputs, "metadata": same, "metadataPointers": known}, known


NODES = (
    NodeType(PLAIN, run_plain),
    NodeType(TEXT, run_text),
    NodeType(PDF, run_pdf),
    NodeType(DOCX, run_docx),
    NodeType(CSV, run_csv),
    NodeType(JSON, run_json),
    NodeType(JSONL, run_jsonl),
    NodeType(ANY, run_any),
)
