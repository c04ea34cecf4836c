"""The servers that published templates call, all in one: small, scripted, over real HTTP."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

PAGE = "<html><head><title>AI</title></head><body><p>Machines write white papers.</p></body></html>"
EVENTS = [{"name": "Fair", "location": "Town"}]
STOCKS = {"actives": ["AAPL"]}
EXPORTED = {"status": "ok", "exportedFile": {"downloadUrl": "https://files.test/a.pdf"}}


@dataclass(frozen=True, slots=True)
class Call:
    """What a server was sent."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]  # names in lower case
    body: Any  # parsed JSON, None if there was none


@dataclass(frozen=True, slots=True)
class Given:
    """What it answers."""

    body: bytes
    status: int = 200
    kind: str = "application/json"


@dataclass
class Vendors:
    """A server on a free port that keeps every call it gets."""

    calls: list[Call] = field(default_factory=list)

    def __enter__(self) -> Vendors:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def paths(self) -> list[str]:
        """What was called, in order."""
        return [f"{call.method} {call.path}" for call in self.calls]

    def answer(self, call: Call) -> Given:
        self.calls.append(call)
        given = ANSWERS.get(f"{call.method} {call.path}")
        if given is None:
            return _json({"error": "no such thing"}, status=404)
        return given(self, call)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        vendors = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                for method in ("GET", "POST", "PUT", "DELETE"):
                    setattr(self, f"do_{method}", self._serve)
                super().handle_one_request()

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody reads it."""

            def _serve(self) -> None:
                url = urlsplit(self.path)
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                given = vendors.answer(
                    Call(self.command, url.path, url.query, headers, json.loads(sent) if sent else None)
                )
                self.send_response(given.status)
                self.send_header("Content-Type", given.kind)
                self.send_header("Content-Length", str(len(given.body)))
                self.end_headers()
                self.wfile.write(given.body)

        return Handler


Answer = Callable[[Vendors, Call], Given]


def _json(value: Any, *, status: int = 200) -> Given:
    return Given(json.dumps(value).encode(), status)


def _always(value: Any, *, status: int = 200) -> Answer:
    return lambda vendors, call: _json(value, status=status)


def _index(vendors: Vendors, call: Call) -> Given:
    """Pinecone's word on where an index lives."""
    return _json({"name": "index", "host": vendors.url, "dimension": 32})


def _found(vendors: Vendors, call: Call) -> Given:
    """Pinecone's one match: a page on the company that the filter names."""
    source = (call.body.get("filter") or {}).get("source", "paper")
    company = source.get("$eq") if isinstance(source, dict) else source
    metadata = {"text": f"{company}: sales rose.", "source": company, "page": 12}
    return _json({"matches": [{"id": "1", "score": 0.9, "metadata": metadata}]})


def _repository(vendors: Vendors, call: Call) -> Given:
    """GitHub's archive of a repository with one page."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        text = b"# Deploy\n\nRun it anywhere."
        entry = tarfile.TarInfo("FlowiseAI-FlowiseDocs-1/en/deploy.md")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return Given(packed.getvalue(), kind="application/gzip")


ANSWERS: Mapping[str, Answer] = {
    "GET /indexes/flowiseindex": _index,
    "GET /indexes/newindex": _index,
    "POST /query": _found,
    "GET /repos/FlowiseAI/FlowiseDocs/tarball/main": _repository,
    "GET /events": _always(EVENTS),
    "GET /events/7": _always(EVENTS[:1]),
    "POST /events": _always({"created": True}),
    "GET /page": lambda vendors, call: Given(PAGE.encode(), kind="text/html"),
    "POST /sql": lambda vendors, call: _json(f"count\n42 by {call.body['query']}"),
    "GET /schema": _always("CREATE TABLE customers (id INTEGER)"),
    "POST /v1/predictions": _always({"id": "p1", "status": "succeeded", "output": ["I am ", "Llama."]}, status=201),
    # The tools' servers.
    "POST /crm/v3/objects/contacts": _always({"id": "51"}, status=201),
    "POST /v0/YOUR-BASE-ID/YOUR-TABLE-ID": _always({"records": [{"id": "rec1"}]}),
    "GET /market/v2/get-movers": _always(STOCKS),
    "POST /abcdefg": lambda vendors, call: Given(b"Accepted", kind="text/plain"),
    "POST /publicApi/v1/exports/upload/md/pdf": _always({"status": "ok", "id": "e1"}),
    "POST /publicApi/v1/exports/get": _always(EXPORTED),
    "POST /discord": _always({"id": "m1"}),
    "POST /teams": lambda vendors, call: Given(b"1", kind="text/plain"),
    "POST /v3/mail/send": lambda vendors, call: Given(b"", status=202),
    "POST /search": _always([{"content": "It rains.", "url": "https://weather.test"}]),
}
