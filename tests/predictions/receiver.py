"""Somebody who is called back, over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Call:
    """What came in. Header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """Listens while its context is open; answers with `statuses`, one after the other, then with 200."""

    def __init__(self, *statuses: int) -> None:
        self.calls: Queue[Call] = Queue()
        left = list(statuses)
        calls = self.calls

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(left.pop(0) if left else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                calls.put(Call(self.path, {name.lower(): value for name, value in self.headers.items()}, body))

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/told"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def next_call(self) -> Call:
        return self.calls.get(timeout=PATIENCE_S)
