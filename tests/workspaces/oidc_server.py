"""A sign-in provider as OpenID Connect has it, over real HTTP: discovery, token, user info. It believes every code."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs

import jwt

CLIENT_ID = "forjinn"


class OidcServer:
    """Vouches for whomever `person` says, to whoever asks."""

    def __init__(self) -> None:
        self.person: dict[str, Any] = {}
        self.tokens_asked: list[dict[str, list[str]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"oidc": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> OidcServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def discovery(self) -> dict[str, Any]:
        ends = {f"{name}_endpoint": f"{self.issuer}/{name}" for name in ("authorization", "token", "userinfo")}
        return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", **ends}

    def token(self) -> dict[str, Any]:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 60, **self.person}
        signed = jwt.encode(claims, "the provider's own key of 32 bytes", algorithm="HS256")
        return {"access_token": "good", "token_type": "Bearer", "id_token": signed}


class _Handler(BaseHTTPRequestHandler):
    oidc: ClassVar[OidcServer]

    def do_GET(self) -> None:
        is_discovery = self.path == "/.well-known/openid-configuration"
        self._answer(self.oidc.discovery() if is_discovery else self.oidc.person)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.oidc.tokens_asked.append(parse_qs(self.rfile.read(length).decode()))
        self._answer(self.oidc.token())

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""

    def _answer(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
