"""The ASGI application: Django's handler with threads kept from one request to the next.

Django opens a ThreadSensitiveContext for each request, so asgiref makes a new one-thread pool each time: a thread
start for each request, and one OS thread held for as long as an SSE response stays open. Here a free list of contexts
is re-used: open streams hold no thread, and a trivial request costs a third of the CPU. Sync code of one request still
runs on one thread. As the threads live on, CONN_MAX_AGE works (docs/adr/0003-asgi-threads.md).
"""

from __future__ import annotations

import os

import django
from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.core import signals
from django.core.handlers.asgi import ASGIHandler

from forjinn.core.sockets import Receive, Scope, Send

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "forjinn.settings")


class Handler(ASGIHandler):
    """Serves HTTP, WebSockets, and the lifespan protocol, which starts and stops what a web process shares."""

    def __init__(self) -> None:
        super().__init__()
        self._free: list[ThreadSensitiveContext] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] == "websocket":
            from forjinn import sockets

            await sockets.serve(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"no handler for {scope['type']}")
        context = self._free.pop() if self._free else ThreadSensitiveContext()
        token = SyncToAsync.thread_sensitive_context.set(context)
        try:
            await self.handle(scope, receive, send)
        finally:
            SyncToAsync.thread_sensitive_context.reset(token)
            self._free.append(context)

    async def _live(self, receive: Receive, send: Send) -> None:
        from forjinn.core.crypto import SealBroken
        from predictions import web

        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await web.startup()
                except SealBroken as exc:  # its text is told, and the server ends
                    await send({"type": "lifespan.startup.failed", "message": str(exc)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await web.shutdown()
                await send({"type": "lifespan.shutdown.complete"})
                return


def build_application() -> Handler:
    django.setup(set_prefix=False)
    from django.db import close_old_connections, reset_queries

    # Each sync receiver of request_started costs a hop to a thread before the view starts. reset_queries matters only
    # with DEBUG; close_old_connections still runs at request_finished, in the hop that closes the response.
    signals.request_started.disconnect(reset_queries)
    signals.request_started.disconnect(close_old_connections)
    return Handler()


application = build_application()
