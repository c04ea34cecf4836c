"""A receiver of hooks behind real HTTP: it keeps what it is sent, and answers as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import queue
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Message:
    """One try that arrived."""

    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """As the Standard Webhooks specification has it, worked out here once more."""
        key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
        content = b".".join(
            [self.headers["webhook-id"].encode(), self.headers["webhook-timestamp"].encode(), self.body]
        )
        expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return self.headers.get("webhook-signature") == f"v1,{expected}"


@dataclass(frozen=True, slots=True)
class Reaction:
    """What the receiver answers. `hangs`: nothing, until `Receiver.release`."""

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False


class Receiver:
    """Answers with the scripted reactions in order, then with 200."""

    def __init__(self, *reactions: Reaction) -> None:
        self._reactions = deque(reactions)
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hooks"

    def script(self, *reactions: Reaction) -> None:
        self._reactions.extend(reactions)

    def next(self) -> Message:
        """The message that arrives next."""
        return self._messages.get(timeout=PATIENCE_S)

    def is_empty(self) -> bool:
        return self._messages.empty()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        reaction = self._reactions.popleft() if self._reactions else Reaction()
        self._messages.put(Message({name.lower(): value for name, value in request.headers.items()}, body))
        if reaction.hangs:
            self._released.wait(PATIENCE_S)
            return
        request.send_response(reaction.status)
        for name, value in {"Content-Length": str(len(reaction.body)), **reaction.headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(reaction.body)
