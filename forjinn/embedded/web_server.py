"""The web process: uvicorn on a socket that the supervisor opened, so that a restart refuses no caller.

`python -m forjinn.embedded.web_server DESCRIPTOR`
"""

from __future__ import annotations

import socket
import sys

import uvicorn
from django.conf import settings

from forjinn.asgi import application
from predictions.web import LAST_ANSWERS_S

# Streams end at once and waiting callers after LAST_ANSWERS_S; only then may the server cut what is left.
GRACE_S = int(LAST_ANSWERS_S) + 3
MAX_FRAME = 1024 * 1024  # bytes that a WebSocket's client may say at once


def serve(descriptor: int) -> None:
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME,
        ws_ping_interval=15.0,
        ws_ping_timeout=15.0,
        lifespan="on",
        access_log=False,
        # The default believes whoever calls from this machine: any address could be claimed, past every rate limit.
        proxy_headers=settings.SECURE_PROXY_SSL_HEADER is not None,
        log_config=None,  # Django's settings have configured logging
        timeout_graceful_shutdown=GRACE_S,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
