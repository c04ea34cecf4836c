"""The loader of GitHub's repositories."""

from __future__ import annotations

import asyncio
import io
import json
import re
import tarfile
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import PurePosixPath

from yarl import URL

from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeError, NodeInputError
from engine.nodes import values
from engine.nodes.loading import loaded, loader_spec
from engine.providers.base import Document
from engine.providers.refusals import refusal
from engine.spec import Inputs, NodeResult, NodeType, Param

MOST_BYTES = 128 * 1024 * 1024  # of a repository's archive
MOST_UNPACKED = 1024 * 1024 * 1024
MOST_FILE = 1024 * 1024  # bytes; a longer file in a repository is no text that somebody wrote
TIMEOUT_S = 120.0
REPOSITORY = re.compile(r"https?://[^/]+/(?P<owner>[\w.-]+)/(?P<name>[\w.-]+?)(?:\.git)?/?$")
GITHUB_API = "https://api.github.com"

GITHUB = loader_spec(
    "github",
    "Github",
    3,
    "The text files of a GitHub repository.",
    Param("repoLink", "string", "Repo Link", help="Such as https://github.com/owner/name."),
    Param("branch", "string", "Branch", default="main", help="Or a tag, or a commit."),
    Param("recursive", "boolean", "Recursive", optional=True, help="Take what is in folders, too."),
    Param("githubInstanceApi", "string", "Github Instance API", optional=True, help="Of GitHub Enterprise."),
    Param("ignorePath", "string", "Ignore Paths", optional=True, help='Paths that are left out: ["*.svg", "docs/**"].'),
    credentials=("githubApi",),
)


async def run_github(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A document a file. The repository comes in one piece, so that nobody's hourly allowance is used up.

    Raises NodeInputError for a link that leads to no repository.
    """
    link = REPOSITORY.match(values.text(inputs, "repoLink").strip())
    if link is None:
        raise NodeInputError("repoLink must be like https://github.com/owner/name.")
    fields = await values.credential(ctx, inputs)
    token = fields.get("accessToken", "")
    api = values.text(inputs, "githubInstanceApi", GITHUB_API).rstrip("/")
    check_destination(fields, api, own_url=GITHUB_API, egress=ctx.world.http.egress)
    branch = values.text(inputs, "branch", "main")
    url = f"{api}/repos/{link['owner']}/{link['name']}/tarball/{branch}"
    recursive = values.flag(inputs, "recursive")
    ignored = _ignored(values.text(inputs, "ignorePath"))

    async def read() -> list[Document]:
        headers = {"Accept": "application/vnd.github+json", "User-Agent": "forjinn"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        answer = await ctx.world.http.request("GET", url, headers=headers, timeout_s=TIMEOUT_S, limit=MOST_BYTES)
        if answer.status != 200:
            raise refusal(URL(api).host or api, answer.status, answer.body, headers=answer.headers, secrets=(token,))
        about = {"repository": link[0].rstrip("/"), "branch": branch}
        return await asyncio.to_thread(_unpacked, answer.body, about, recursive, ignored)

    return await loaded(ctx, inputs, read)


def _ignored(text: str) -> list[str]:
    if not text.strip():
        return []
    try:
        patterns = json.loads(text)
    except ValueError:
        patterns = text.split(",")
    if not isinstance(patterns, list):
        raise NodeInputError('ignorePath must be a JSON list of paths, such as ["*.svg", "docs/**"].')
    return [str(pattern).strip() for pattern in patterns]


def _unpacked(archive: bytes, about: Mapping[str, str], recursive: bool, ignored: list[str]) -> list[Document]:
    documents = []
    unpacked = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as files:
            for member in files:
                unpacked += member.size
                if unpacked > MOST_UNPACKED:
                    raise NodeError(f"{about['repository']} is too big to be read.")
                path = PurePosixPath(*PurePosixPath(member.name).parts[1:])  # the archive has a folder around all
                held = files.extractfile(member) if member.isfile() and member.size <= MOST_FILE else None
                if held is None or not _is_wanted(path, recursive, ignored):
                    continue
                text = _text(held.read())
                if text:
                    documents.append(Document(text, {"source": str(path), **about}))
    except (tarfile.TarError, EOFError, OSError) as exc:
        raise NodeError(f"The archive of {about['repository']} cannot be read: {exc}.") from exc
    return documents


def _is_wanted(path: PurePosixPath, recursive: bool, ignored: list[str]) -> bool:
    if not recursive and len(path.parts) > 1:
        return False
    return not any(fnmatch(str(path), pattern) or fnmatch(path.name, pattern) for pattern in ignored)


def _text(content: bytes) -> str:
    """Empty for what is no text."""
    try:
        return "" if b"\0" in content else content.decode("utf-8")
    except UnicodeDecodeError:
        return ""


NODES = (NodeType(GITHUB, run_github),)
