"""Text splitters: how documents are cut before they are stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markdownify import markdownify

from engine.context import NodeContext
from engine.errors import NodeError, NodeInputError
from engine.nodes import values
from engine.spec import Extra, Inputs, NodeResult, NodeSpec, NodeType, Param

if TYPE_CHECKING:
    from langchain_text_splitters import TextSplitter

RETRIEVAL = Extra("retrieval", "langchain_text_splitters")
SIZE, OVERLAP = 1000, 200
BIGGEST = 1_000_000
ENCODINGS = ("gpt2", "r50k_base", "p50k_base", "p50k_edit", "cl100k_base", "o200k_base")
LANGUAGES = (
    "cpp", "go", "java", "js", "php", "proto", "python", "rst", "ruby", "rust", "scala", "swift", "markdown", "latex",
    "html", "sol",
)  # fmt: skip
# The package's own for LaTeX have two backslashes, so that it never cuts at any of them.
LATEX_SEPARATORS = [
    *(f"\n\\{name}{{" for name in ("chapter", "section", "subsection", "subsubsection")),
    *(
        f"\n\\begin{{{name}}}"
        for name in ("enumerate", "itemize", "description", "list", "quote", "quotation", "verse", "verbatim", "align")
    ),
    "$$",
    "$",
    "\n\n",
    "\n",
    " ",
    "",
]
CHUNK_SIZE = Param("chunkSize", "number", "Chunk Size", default=SIZE, optional=True, help="Longest chunk.")
CHUNK_OVERLAP = Param(
    "chunkOverlap",
    "number",
    "Chunk Overlap",
    optional=True,
    help=f"How much of a chunk the next one repeats; up to {OVERLAP} unless given.",
)
BY_HEADERS = Param(
    "splitByHeaders",
    "options",
    "Split by Headers",
    default="disabled",
    optional=True,
    options=("disabled", "h1", "h2", "h3", "h4", "h5", "h6"),
    help="Begin a chunk at each heading down to this level.",
)


def _spec(name: str, label: str, version: float, help: str, *params: Param) -> NodeSpec:
    return NodeSpec(
        name=name,
        label=label,
        version=version,
        category="Text Splitters",
        base_classes=(f"{name[0].upper()}{name[1:]}", "TextSplitter"),
        help=help,
        params=(CHUNK_SIZE, CHUNK_OVERLAP, *params),
        role="component",
        extra=Extra("tokens", "tiktoken") if name == "tokenTextSplitter" else RETRIEVAL,
    )


RECURSIVE = _spec(
    "recursiveCharacterTextSplitter",
    "Recursive Character Text Splitter",
    2,
    "Cuts at paragraphs, then at lines, then at words, until chunks are short enough.",
    Param("separators", "string", "Custom Separators", optional=True, help='Where to cut instead: ["|", "##"].'),
)
CHARACTER = _spec(
    "characterTextSplitter",
    "Character Text Splitter",
    1,
    "Cuts at one separator alone.",
    Param("separator", "string", "Custom Separator", optional=True, help="An empty line, unless given."),
)
TOKEN = _spec(
    "tokenTextSplitter",
    "Token Text Splitter",
    1,
    "Counts in the tokens of a model instead of characters.",
    Param(
        "encodingName",
        "options",
        "Encoding Name",
        default="gpt2",
        options=ENCODINGS,
        help="Whose tokens.",
    ),
)
MARKDOWN = _spec(
    "markdownTextSplitter", "Markdown Text Splitter", 1.1, "Cuts Markdown at its headings and paragraphs.", BY_HEADERS
)
HTML = _spec(
    "htmlToMarkdownTextSplitter", "HtmlToMarkdown Text Splitter", 1, "Makes Markdown of HTML and cuts that.", BY_HEADERS
)
LATEX = _spec("latexTextSplitter", "LaTeX Text Splitter", 1, "Cuts LaTeX at its chapters, sections and lists.")
CODE = _spec(
    "codeTextSplitter",
    "Code Text Splitter",
    1,
    "Cuts source code where its language does.",
    Param("language", "options", "Language", default="python", options=LANGUAGES, help="Which language."),
)


@dataclass(frozen=True, slots=True)
class LangChainSplitter:
    """A splitter of LangChain's, after what has to be done to the text first; implements `Splitter`.

    It is made when there is something to cut: a prediction does without it, and without the package.
    """

    kind: str
    params: Mapping[str, Any]
    prepare: Callable[[str], str] = str

    @property
    def key(self) -> str:
        """See `Splitter.key`."""
        return repr((self.kind, sorted(self.params.items()), self.prepare is not str))

    def cut(self, text: str) -> list[str]:
        """See `Splitter.cut`. Raises NodeError if what it takes is not installed here."""
        try:
            return self._made().split_text(self.prepare(text))
        except ModuleNotFoundError as exc:
            raise NodeError("Text cannot be split on this server: pip install 'forjinn[retrieval]'") from exc
        except ImportError as exc:
            raise NodeError("Tokens cannot be counted on this server: pip install 'forjinn[tokens]'") from exc
        except RecursionError as exc:
            raise NodeInputError(
                "A document is nested too deeply to be made Markdown of: use another splitter."
            ) from exc
        except OSError as exc:
            raise NodeError("The vocabulary of these tokens cannot be had: it is read over the network.") from exc

    def _made(self) -> TextSplitter:
        import langchain_text_splitters

        params = dict(self.params)
        kind = getattr(langchain_text_splitters, self.kind)
        language = params.pop("language", None)
        made: TextSplitter = kind.from_language(language, **params) if language else kind(**params)
        return made


async def run_recursive(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError if the overlap is not smaller than a chunk."""
    return _result(inputs, "RecursiveCharacterTextSplitter", separators=_separators(inputs))


async def run_character(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError if the overlap is not smaller than a chunk."""
    return _result(inputs, "CharacterTextSplitter", separator=values.text(inputs, "separator", "\n\n"))


async def run_token(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError for tokens that it does not know."""
    encoding = values.text(inputs, "encodingName", "gpt2")
    if encoding not in ENCODINGS:
        raise NodeInputError(f"There are no tokens named {encoding!r}; known: {', '.join(ENCODINGS)}.")
    return _result(inputs, "TokenTextSplitter", encoding_name=encoding)


async def run_markdown(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError if the overlap is not smaller than a chunk."""
    return _markdown(inputs, str)


async def run_html(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError if the overlap is not smaller than a chunk."""
    return _markdown(inputs, lambda html: str(markdownify(html, heading_style="ATX")))


async def run_latex(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError if the overlap is not smaller than a chunk."""
    return _result(inputs, "RecursiveCharacterTextSplitter", separators=LATEX_SEPARATORS)


async def run_code(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError for a language that it cannot cut."""
    language = values.text(inputs, "language", "python")
    if language not in LANGUAGES:
        raise NodeInputError(f"There is no splitter for {language!r}; known: {', '.join(LANGUAGES)}.")
    if language == "latex":
        return await run_latex(ctx, inputs)
    return _result(inputs, "RecursiveCharacterTextSplitter", language=language)


def _markdown(inputs: Inputs, prepare: Callable[[str], str]) -> NodeResult:
    level = values.text(inputs, "splitByHeaders", "disabled")
    if level not in ("h1", "h2", "h3", "h4", "h5", "h6"):
        return _result(inputs, "MarkdownTextSplitter", prepare=prepare)
    headings = rf"(?m:^)(?=#{{1,{level[1]}}} )"  # flags in front would not be where the splitter puts this
    separators = [headings, r"\n\n", r"\n", " ", ""]
    return _result(
        inputs, "RecursiveCharacterTextSplitter", prepare=prepare, separators=separators, is_separator_regex=True
    )


def _result(inputs: Inputs, kind: str, *, prepare: Callable[[str], str] = str, **params: Any) -> NodeResult:
    size, overlap = _sizes(inputs)
    params = {**params, "chunk_size": size, "chunk_overlap": overlap}
    return NodeResult(value=LangChainSplitter(kind, params, prepare))


def _sizes(inputs: Inputs) -> tuple[int, int]:
    size = values.integer(inputs, "chunkSize") or SIZE
    if not 0 < size <= BIGGEST:
        raise NodeInputError(f"chunkSize must be from 1 to {BIGGEST}, not {size}.")
    given = values.integer(inputs, "chunkOverlap")
    overlap = min(OVERLAP, size // 5) if given is None else given
    if not 0 <= overlap < size:
        raise NodeInputError(f"chunkOverlap must be from 0 to less than chunkSize ({size}), not {overlap}.")
    return size, overlap


def _separators(inputs: Inputs) -> list[str] | None:
    """None: the splitter's own."""
    given = inputs.get("separators")
    if isinstance(given, str) and given.strip():
        try:
            given = json.loads(given)
        except ValueError:
            given = [given]
    if not given:
        return None
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise NodeInputError('separators must be a JSON list of texts, such as ["|", "##"].')
    return given


NODES = (
    NodeType(RECURSIVE, run_recursive),
    NodeType(CHARACTER, run_character),
    NodeType(TOKEN, run_token),
    NodeType(MARKDOWN, run_markdown),
    NodeType(HTML, run_html),
    NodeType(CODE, run_code),
    NodeType(LATEX, run_latex),
)
