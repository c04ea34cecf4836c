"""The servers of others that published flows use, real over HTTP: a vector database, a repository, a model's host."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from engine.providers.base import Document, Row
from engine.vectors import MemoryIndex


@dataclass
class Outside:
    """Pinecone, GitHub and Replicate in one place; `indexes` by (index, namespace), `files` by path."""

    url: str = ""
    indexes: dict[str, MemoryIndex] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    said: str = ""  # by every model at Replicate
    received: list[tuple[str, Any]] = field(default_factory=list)

    async def put(self, namespace: str, *texts: str, vectors: list[tuple[float, ...]], **metadata: Any) -> None:
        rows = [
            Row(f"{namespace}-{number}", vector, Document(text, {"text": text, **metadata}))
            for number, (text, vector) in enumerate(zip(texts, vectors, strict=True))
        ]
        await self.indexes.setdefault(namespace, MemoryIndex()).upsert(rows)

    async def describe(self, request: web.Request) -> web.Response:
        return web.json_response({"name": request.match_info["name"], "host": self.url})

    async def query(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.received.append((request.path, asked))
        index = self.indexes.setdefault(asked.get("namespace", ""), MemoryIndex())
        found = await index.query(
            asked["vector"], top_k=asked["topK"], where=asked.get("filter"), with_vectors=asked["includeValues"]
        )
        matches = [
            {"id": f.document.id or "x", "score": f.score, "metadata": f.document.metadata, "values": list(f.vector)}
            for f in found
        ]
        return web.json_response({"matches": matches})

    async def upsert(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.received.append((request.path, asked))
        index = self.indexes.setdefault(asked.get("namespace", ""), MemoryIndex())
        await index.upsert(
            [
                Row(v["id"], v["values"], Document(v["metadata"]["text"], v["metadata"], v["id"]))
                for v in asked["vectors"]
            ]
        )
        return web.json_response({"upsertedCount": len(asked["vectors"])})

    async def delete(self, request: web.Request) -> web.Response:
        asked = await request.json()
        await self.indexes.setdefault(asked.get("namespace", ""), MemoryIndex()).delete(asked["ids"])
        return web.json_response({})

    async def archive(self, request: web.Request) -> web.Response:
        self.received.append((request.path, dict(request.headers)))
        return web.Response(body=packed(self.files), content_type="application/gzip")

    async def predict(self, request: web.Request) -> web.Response:
        self.received.append((request.path, await request.json()))
        return web.json_response({"id": "p1", "status": "succeeded", "output": self.said}, status=201)


def packed(files: Mapping[str, str]) -> bytes:
    """The files in an archive with one folder around them, as GitHub packs repositories."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"owner-name-abc/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return held.getvalue()


@asynccontextmanager
async def outside() -> AsyncIterator[Outside]:
    """All of them on a free port."""
    servers = Outside()
    app = web.Application()
    app.router.add_get("/indexes/{name}", servers.describe)
    app.router.add_post("/query", servers.query)
    app.router.add_post("/vectors/upsert", servers.upsert)
    app.router.add_post("/vectors/delete", servers.delete)
    app.router.add_get("/repos/{owner}/{name}/tarball/{branch}", servers.archive)
    app.router.add_post("/predictions", servers.predict)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    servers.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield servers
    finally:
        await runner.cleanup()
