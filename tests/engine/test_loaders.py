import io
import json
import zipfile
from typing import Any

import pytest

from engine import readers
from engine.documents import Source, load_all
from engine.errors import NodeError, NodeInputError, ProviderError
from engine.files import File, data_uri
from engine.nodes import file_loaders, github, splitters, web_loaders
from engine.providers.base import Document
from engine.spec import NodeRun
from tests.engine.node_world import NodeWorld
from tests.engine.outside import outside
from tests.engine.web_server import web_server

RUNS: dict[str, NodeRun] = {
    node_type.spec.name: node_type.run
    for family in (file_loaders.NODES, github.NODES, web_loaders.NODES, splitters.NODES)
    for node_type in family
}
LATEX_TEXT = "\\section{A}\none\n\\section{B}\ntwo"
LATEX = ["\\section{A}\none", "\\section{B}\ntwo"]
PAGE = (
    "<html><head><title>Winter</title><script>x()</script></head>"
    "<body><h1>Snow</h1><p id='p'>White.</p>{}</body></html>"
)


def uri(name: str, content: bytes, mime: str = "text/plain") -> str:
    return data_uri(File(name, mime, content))


async def load(nodes: NodeWorld, name: str, **inputs: Any) -> list[Document]:
    source = (await RUNS[name](nodes.context(), inputs)).value
    assert isinstance(source, Source)
    return await load_all([source])


def pdf(*pages: str) -> bytes:
    """A PDF with one line of text a page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for number, text in enumerate(pages):
        drawn = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        box = "/MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R {box} /Contents {5 + 2 * number} 0 R >>")
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    written, places = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(written))
        written += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(written)}\n%%EOF\n"
    return (written + end + trailer).encode()


def docx(text: str) -> bytes:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = f'<w:document xmlns:w="{space}"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>'
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("word/document.xml", f'<?xml version="1.0" encoding="UTF-8"?>{body}')
    return held.getvalue()


async def test_a_text_is_a_document_with_what_else_is_known_of_it(nodes: NodeWorld) -> None:
    documents = await load(nodes, "plainText", text="Snow.", metadata='{"shelf": "a"}')

    assert documents == [Document("Snow.", {"shelf": "a"})]


async def test_metadata_can_be_left_out(nodes: NodeWorld) -> None:
    file = uri("a.txt", b"Snow.")

    some = await load(nodes, "textFile", txtFile=file, metadata={"b": 1}, omitMetadataKeys="source, x")
    none = await load(nodes, "textFile", txtFile=file, metadata={"b": 1}, omitMetadataKeys="*")

    assert [document.metadata for document in (*some, *none)] == [{"b": 1}, {"b": 1}]


async def test_at_the_output_text_the_text_is_read_at_once(nodes: NodeWorld) -> None:
    files = json.dumps([uri("a.txt", b"One."), uri("b.txt", b"Two.")])

    result = await RUNS["textFile"](nodes.context(output="text"), {"txtFile": files})

    assert result.value == "One.\nTwo."


async def test_documents_are_cut_and_know_their_lines(nodes: NodeWorld) -> None:
    splitter = (await RUNS["recursiveCharacterTextSplitter"](nodes.context(), {"chunkSize": "12"})).value

    documents = await load(nodes, "plainText", text="Snow.\nWhite.\n\nCoal.", textSplitter=splitter)

    assert [document.text for document in documents] == ["Snow.\nWhite.", "Coal."]
    assert [document.metadata["loc"]["lines"] for document in documents] == [
        {"from": 1, "to": 2},
        {"from": 4, "to": 4},
    ]


async def test_chunks_that_overlap_know_their_lines(nodes: NodeWorld) -> None:
    given = {"chunkSize": "5", "chunkOverlap": "3", "separators": '["\\n"]'}
    splitter = (await RUNS["recursiveCharacterTextSplitter"](nodes.context(), given)).value

    documents = await load(nodes, "plainText", text="a\nb\nc\nd", textSplitter=splitter)

    lines = [(d.text, d.metadata["loc"]["lines"]["from"], d.metadata["loc"]["lines"]["to"]) for d in documents]
    assert lines == [("a\nb\nc", 1, 3), ("c\nd", 3, 4)]


@pytest.mark.parametrize(
    ("name", "inputs", "text", "chunks"),
    [
        ("characterTextSplitter", {"separator": "|", "chunkSize": 5, "chunkOverlap": 0}, "aaaa|bbbb", ["aaaa", "bbbb"]),
        ("markdownTextSplitter", {"chunkSize": 12}, "# A\n\none\n\n# B\n\ntwo", ["# A\n\none", "# B\n\ntwo"]),
        (
            "markdownTextSplitter",
            {"splitByHeaders": "h1", "chunkSize": 9},
            "# A\none\n# B\ntwo",
            ["# A\none", "# B\ntwo"],
        ),
        ("htmlToMarkdownTextSplitter", {"chunkSize": 20}, "<h1>A</h1><p>one</p>", ["# A\n\none"]),
        (
            "codeTextSplitter",
            {"language": "python", "chunkSize": 14},
            "def a(): 1\n\ndef b(): 2",
            ["def a(): 1", "def b(): 2"],
        ),
        ("latexTextSplitter", {"chunkSize": 20, "chunkOverlap": 0}, LATEX_TEXT, LATEX),
        ("codeTextSplitter", {"language": "latex", "chunkSize": 20, "chunkOverlap": 0}, LATEX_TEXT, LATEX),
        ("recursiveCharacterTextSplitter", {"separators": '["#"]', "chunkSize": 4}, "aaa#bbb", ["aaa", "#bbb"]),
    ],
)
async def test_splitters_cut_where_they_say(
    nodes: NodeWorld, name: str, inputs: dict[str, Any], text: str, chunks: list[str]
) -> None:
    splitter = (await RUNS[name](nodes.context(), inputs)).value

    assert splitter.cut(text) == chunks


@pytest.mark.parametrize(
    ("name", "inputs", "told"),
    [
        ("recursiveCharacterTextSplitter", {"chunkSize": 10, "chunkOverlap": 10}, "less than chunkSize"),
        ("recursiveCharacterTextSplitter", {"chunkSize": -1}, "chunkSize must be from 1"),
        ("recursiveCharacterTextSplitter", {"separators": "[1]"}, "separators must be"),
        ("codeTextSplitter", {"language": "cobol"}, "no splitter for 'cobol'"),
        ("tokenTextSplitter", {"encodingName": "mine"}, "no tokens named 'mine'"),
    ],
)
async def test_a_splitter_that_makes_no_sense_is_refused(
    nodes: NodeWorld, name: str, inputs: dict[str, Any], told: str
) -> None:
    with pytest.raises(NodeInputError, match=told):
        await RUNS[name](nodes.context(), inputs)


async def test_html_without_end_is_refused(nodes: NodeWorld) -> None:
    splitter = (await RUNS["htmlToMarkdownTextSplitter"](nodes.context(), {})).value

    with pytest.raises(NodeInputError, match="nested too deeply"):
        splitter.cut("<div>" * 10_000 + "Snow.")


async def test_a_package_that_is_not_installed_is_named(nodes: NodeWorld) -> None:
    splitter = (await RUNS["tokenTextSplitter"](nodes.context(), {})).value

    with pytest.raises(NodeError, match=r"pip install 'forjinn\[tokens\]'"):
        splitter.cut("some text")


async def test_a_pdf_is_a_document_a_page_or_one(nodes: NodeWorld) -> None:
    file = uri("a.pdf", pdf("Snow is white.", "Coal is black."), "application/pdf")

    pages = await load(nodes, "pdfFile", pdfFile=file)
    whole = await load(nodes, "pdfFile", pdfFile=file, usage="perFile")

    assert [(page.text, page.metadata["loc"]) for page in pages] == [
        ("Snow is white.", {"pageNumber": 1}),
        ("Coal is black.", {"pageNumber": 2}),
    ]
    assert [document.text for document in whole] == ["Snow is white.\n\nCoal is black."]


async def test_a_word_document_is_its_text(nodes: NodeWorld) -> None:
    [document] = await load(nodes, "docxFile", docxFile=uri("a.docx", docx("Snow is white.")))

    assert document.text.strip() == "Snow is white."


async def test_a_word_document_that_unpacks_without_end_is_refused(
    nodes: NodeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MOST_UNPACKED", 10_000)

    with pytest.raises(NodeInputError, match=r"a\.docx unpacks to more than"):
        await load(nodes, "docxFile", docxFile=uri("a.docx", docx("x" * 10_000)))


async def test_a_row_that_ends_early_has_empty_columns(nodes: NodeWorld) -> None:
    [row] = await load(nodes, "csvFile", csvFile=uri("a.csv", b"name,size\nhat\n"))

    assert row.text == "name: hat\nsize: "


@pytest.mark.parametrize(("name", "param"), [("jsonFile", "jsonFile"), ("jsonlinesFile", "jsonlinesFile")])
async def test_json_without_end_is_refused(nodes: NodeWorld, name: str, param: str) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000

    with pytest.raises(NodeInputError, match=r"is no JSON|nested too deeply"):
        await load(nodes, name, **{param: uri("a.json", deep)}, pointerName="text")


ITEMS = '[{"page": "a", "text": "Snow.", "in": {"deep": [1]}}, {"text": "Ice."}]'
POINTED = {"metadata": '{"from": "/page", "shelf": "b"}'}


async def test_metadata_may_come_out_of_the_json(nodes: NodeWorld) -> None:
    file = uri("a.json", ITEMS.encode())
    lines = uri("a.jsonl", b'{"page": "a", "text": "Snow."}\n{"text": "Ice."}')

    texts = await load(nodes, "jsonFile", jsonFile=file, pointersName="text", **POINTED)
    items = await load(nodes, "jsonFile", jsonFile=file, separateByObject=True, **POINTED)
    rows = await load(nodes, "jsonlinesFile", jsonlinesFile=lines, pointerName="text", **POINTED)

    for documents in (texts, items, rows):
        assert [(d.metadata["from"], d.metadata["shelf"]) for d in documents] == [("a", "b"), (None, "b")]
    assert items[0].text == "page: a\ntext: Snow.\nin.deep: [1]"


async def test_json_lines_end_at_line_feeds_alone(nodes: NodeWorld) -> None:
    lines = '{"text": "one\u2028two"}\r\n{"text": "three"}\n'.encode()

    documents = await load(nodes, "jsonlinesFile", jsonlinesFile=uri("a.jsonl", lines), pointerName="text")

    assert [document.text for document in documents] == ["one\u2028two", "three"]


async def test_a_part_of_metadata_can_be_left_out(nodes: NodeWorld) -> None:
    inputs = {"metadata": {"a": {"b": 1, "c": 2}, "d.e": 3}, "omitMetadataKeys": "a.b, d.e, x.y"}

    [document] = await load(nodes, "plainText", text="Snow.", **inputs)

    assert document.metadata == {"a": {"c": 2}}


async def test_a_table_is_a_document_a_row(nodes: NodeWorld) -> None:
    file = uri("a.csv", b"\xef\xbb\xbfname,colour\nSnow,white\nCoal,black\n")

    rows = await load(nodes, "csvFile", csvFile=file)
    column = await load(nodes, "csvFile", csvFile=file, columnName="colour")

    assert rows[0] == Document("name: Snow\ncolour: white", {"source": "a.csv", "line": 1})
    assert [document.text for document in column] == ["white", "black"]


async def test_json_is_its_texts(nodes: NodeWorld) -> None:
    file = uri("a.json", b'[{"name": "Snow", "tags": ["white"], "size": 1}, {"name": "Coal"}]')

    texts = await load(nodes, "jsonFile", jsonFile=file)
    names = await load(nodes, "jsonFile", jsonFile=file, pointersName="/name")
    items = await load(nodes, "jsonFile", jsonFile=file, separateByObject=True)

    assert [document.text for document in texts] == ["Snow", "white", "Coal"]
    assert [document.text for document in names] == ["Snow", "Coal"]
    assert items[0].text == 'name: Snow\ntags: ["white"]\nsize: 1'


async def test_json_lines_are_what_the_pointer_leads_to(nodes: NodeWorld) -> None:
    file = uri("a.jsonl", b'{"a": {"text": "Snow"}}\n\n{"a": {"text": "Coal"}}\n')

    documents = await load(nodes, "jsonlinesFile", jsonlinesFile=file, pointerName="/a/text")

    assert [(document.text, document.metadata["line"]) for document in documents] == [("Snow", 1), ("Coal", 3)]


async def test_a_file_of_any_kind_is_read_by_its_extension(nodes: NodeWorld) -> None:
    files = json.dumps([uri("a.html", PAGE.format("").encode()), uri("b.csv", b"name\nSnow\n"), uri("c.md", b"# Coal")])

    documents = await load(nodes, "fileLoader", file=files)

    assert [document.text for document in documents] == ["Snow\nWhite.", "name: Snow", "# Coal"]
    assert documents[0].metadata["title"] == "Winter"


@pytest.mark.parametrize(
    ("name", "param", "content", "told"),
    [
        ("pdfFile", "pdfFile", b"no pdf", "is no PDF"),
        ("docxFile", "docxFile", b"no docx", "is no Word document"),
        ("jsonFile", "jsonFile", b"{oops", "is no JSON"),
        ("jsonlinesFile", "jsonlinesFile", b"{}\n{oops", "Line 2 of a is no JSON"),
    ],
)
async def test_a_file_of_another_kind_is_refused(
    nodes: NodeWorld, name: str, param: str, content: bytes, told: str
) -> None:
    with pytest.raises(NodeInputError, match=told):
        await load(nodes, name, **{param: uri("a", content)})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "holds no file"),
        ("FILE-STORAGE::a.txt", "stored on another server"),
        ("hello", "must hold files as data URIs"),
        ("[" * 100_000, "must hold files as data URIs"),
        ("data:text/plain;base64,%%%", "not in base64"),
        ('["', "must hold files as data URIs"),
    ],
)
async def test_what_is_no_file_is_refused(nodes: NodeWorld, value: str, told: str) -> None:
    with pytest.raises(NodeInputError, match=told):
        await load(nodes, "textFile", txtFile=value)


async def test_a_page_is_what_a_reader_sees_of_it(nodes: NodeWorld) -> None:
    async with web_server((200, PAGE.format("")), (200, PAGE.format(""))) as server:
        [page] = await load(nodes, "cheerioWebScraper", url=server.url)
        [part] = await load(nodes, "cheerioWebScraper", url=server.url, selector="#p")

    assert page == Document("Snow\nWhite.", {"source": server.url, "title": "Winter"})
    assert part.text == "White."


async def test_links_are_followed_within_the_site_up_to_the_limit(nodes: NodeWorld) -> None:
    links = "<a href='/b'>b</a><a href='/b#x'>b</a><a href='https://example.org/'>x</a><a href='/c'>c</a>"
    async with web_server((200, PAGE.format(links)), (200, PAGE.format("")), (200, PAGE.format(""))) as server:
        pages = await load(nodes, "cheerioWebScraper", url=f"{server.url}/a", limit=2)

    assert [page.metadata["source"] for page in pages] == [f"{server.url}/a", f"{server.url}/b"]


async def test_a_page_that_is_not_there_is_told(nodes: NodeWorld) -> None:
    async with web_server((404, "")) as server:
        with pytest.raises(NodeError, match="answered 404"):
            await load(nodes, "cheerioWebScraper", url=server.url)


async def test_a_sitemap_names_the_pages(nodes: NodeWorld) -> None:
    async with web_server() as server:
        server.answers.append((200, f"<urlset><url><loc>{server.url}/a</loc></url></urlset>"))
        server.answers.append((200, PAGE.format("")))
        pages = await load(nodes, "cheerioWebScraper", url=server.url, limit=5, relativeLinksMethod="scrapeXMLSitemap")

    assert [page.metadata["source"] for page in pages] == [f"{server.url}/a"]


@pytest.mark.parametrize("sitemap", ["<urlset/>", "<loc>https://example.org/</loc>", "no sitemap"])
async def test_a_sitemap_that_names_no_page_is_refused(nodes: NodeWorld, sitemap: str) -> None:
    async with web_server((200, sitemap)) as server:
        with pytest.raises(NodeError, match="names no page of its own site"):
            await load(nodes, "cheerioWebScraper", url=server.url, limit=5, relativeLinksMethod="scrapeXMLSitemap")


async def test_a_page_reads_as_it_looks(nodes: NodeWorld) -> None:
    html = "<html><p>Snow\nis <b>very</b>&nbsp;white<!-- no -->.<br>Cold.</p><pre>a\nb</pre><td>1</td><td>2</td></html>"
    async with web_server((200, html)) as server:
        [page] = await load(nodes, "cheerioWebScraper", url=server.url)

    assert page.text == "Snow is very white.\nCold.\na\nb\n1 2"


async def test_a_part_of_a_page_can_be_left_out_and_come_as_html(nodes: NodeWorld) -> None:
    async with web_server((200, PAGE.format(""))) as server:
        [page] = await load(nodes, "cheerioWebScraper", url=server.url, excludeSelector="h1", outputFormat="html")

    assert page.text == '<p id="p">White.</p>'


@pytest.mark.parametrize("inputs", [{"selector": "p["}, {"excludeSelector": "p["}])
async def test_a_selector_that_is_none_is_refused(nodes: NodeWorld, inputs: dict[str, str]) -> None:
    async with web_server((200, PAGE.format(""))) as server:
        with pytest.raises(NodeInputError, match="is no CSS selector"):
            await load(nodes, "cheerioWebScraper", url=server.url, **inputs)


@pytest.mark.parametrize("depth", [100, 20_000])
async def test_selectors_look_no_deeper_than_they_can(nodes: NodeWorld, depth: int) -> None:
    async with web_server((200, "<html>" + "<div>" * depth + "Snow." + "</div>" * depth)) as server:
        loading = load(nodes, "cheerioWebScraper", url=server.url, selector="div div > div")
        if depth == 100:
            assert (await loading)[0].text.startswith("Snow.")
        else:
            with pytest.raises(NodeInputError, match="more than 256 levels deep: leave CSS selectors away"):
                await loading


async def test_a_limit_of_0_is_all_pages(nodes: NodeWorld) -> None:
    links = "".join(f"<a href='/{number}'>x</a>" for number in range(12))
    async with web_server((200, PAGE.format(links)), *((200, PAGE.format("")) for _ in range(12))) as server:
        pages = await load(nodes, "cheerioWebScraper", url=server.url, limit="0")
        server.answers.append((200, PAGE.format(links)))
        first = await load(nodes, "cheerioWebScraper", url=server.url, limit="10", relativeLinksMethod="")

    assert (len(pages), len(first)) == (13, 1)


async def test_a_limit_below_0_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="limit must be 0, for all pages, or more, not -1"):
        await load(nodes, "cheerioWebScraper", url="https://example.org", limit=-1)


async def test_a_page_on_the_way_that_cannot_be_had_stops_nothing(nodes: NodeWorld) -> None:
    links = "<a href='/gone'>x</a><a href='/loop'>x</a><a href='/c'>x</a>"
    async with web_server() as server:
        server.answers.extend([(200, PAGE.format(links)), (404, ""), *((302, server.url) for _ in range(6))])
        server.answers.append((200, PAGE.format("")))
        pages = await load(nodes, "cheerioWebScraper", url=f"{server.url}/a", limit=3)

    assert [page.metadata["source"] for page in pages] == [f"{server.url}/a", f"{server.url}/c"]


async def test_pages_that_are_not_there_are_not_asked_for_without_end(nodes: NodeWorld) -> None:
    links = "".join(f"<a href='/{number}'>x</a>" for number in range(50))
    async with web_server((200, PAGE.format(links)), *((404, "") for _ in range(50))) as server:
        pages = await load(nodes, "cheerioWebScraper", url=server.url, limit=2)

    assert (len(pages), len(server.received)) == (1, 6)


async def test_the_links_that_people_chose_are_read(nodes: NodeWorld) -> None:
    async with web_server((200, PAGE.format("")), (404, ""), (200, PAGE.format(""))) as server:
        links = [f"{server.url}/{name}" for name in "abc"]
        pages = await load(nodes, "playwrightWebScraper", url=server.url, selectedLinks=links, cssSelector="p")

    assert [(page.text, page.metadata["source"]) for page in pages] == [("White.", links[0]), ("White.", links[2])]


async def test_what_an_api_answers_is_a_document(nodes: NodeWorld) -> None:
    async with web_server((200, '{"a": 1}'), (200, "plain")) as server:
        [as_json] = await load(
            nodes, "apiLoader", url=server.url, method="POST", headers='{"X-Key": 7}', body='{"q": "snow"}'
        )
        [plain] = await load(nodes, "apiLoader", url=server.url, method="GET", body='{"q": "snow"}')

    assert as_json == Document('{\n  "a": 1\n}', {"url": server.url})
    assert plain.text == "plain"
    post, get = server.received
    assert (post.method, post.headers["x-key"], post.body) == ("POST", "7", {"q": "snow"})
    assert (get.method, get.body) == ("GET", None)


async def test_a_refusal_of_an_api_is_told_without_its_headers(nodes: NodeWorld) -> None:
    async with web_server((403, "key-of-mine is not known")) as server:
        with pytest.raises(ProviderError, match=r"answered 403: \[key\] is not known"):
            await load(nodes, "apiLoader", url=server.url, headers={"X-Key": "key-of-mine"})


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"url": "ftp://example.org"}, "must begin with http"),
        ({"url": "https://example.org", "method": "DELETE"}, "GET or POST"),
        ({"url": "https://example.org", "headers": "[1]"}, "headers must be a JSON object"),
        ({"url": "https://example.org", "caFile": "data:,"}, "clear caFile"),
    ],
)
async def test_an_api_that_cannot_be_called_is_refused(nodes: NodeWorld, inputs: dict[str, str], told: str) -> None:
    with pytest.raises(NodeInputError, match=told):
        await load(nodes, "apiLoader", **inputs)


async def test_a_repository_is_its_text_files(nodes: NodeWorld) -> None:
    link = "https://github.com/owner/name.git"
    async with outside() as servers:
        servers.files = {"README.md": "Snow.", "docs/a.md": "Coal.", "logo.svg": "<svg/>", "x.bin": "\0"}
        inputs = {"repoLink": link, "githubInstanceApi": servers.url, "ignorePath": '["*.svg"]'}
        top = await load(nodes, "github", **inputs)
        everything = await load(nodes, "github", **inputs, recursive="true")

    assert [document.metadata["source"] for document in top] == ["README.md"]
    assert [document.metadata["source"] for document in everything] == ["README.md", "docs/a.md"]


@pytest.mark.parametrize("link", ["", "https://github.com/owner", "owner/name", "https://github.com/a/b/tree/main"])
async def test_a_link_to_no_repository_is_refused(nodes: NodeWorld, link: str) -> None:
    with pytest.raises(NodeInputError, match="repoLink must be like"):
        await load(nodes, "github", repoLink=link)
