"""C9: what is stored has names of the server's own; what users call things is data, and no path."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from engine.errors import NodeInputError
from engine.registry import load_registry
from predictions.vectors import WorkspaceVectors
from tests.cast import Api
from tests.predictions.calls import Caller
from tests.security.source import calls

TRAVERSALS = [
    "../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/passwd",
    "C:\\windows\\win.ini",
    "....//....//etc/passwd",
    "%2e%2e%2fetc%2fpasswd",
    "..%c0%afetc/passwd",
    "file:///etc/passwd",
    "~/.ssh/id_rsa",
    "a\0b",
    ".",
]
# Types of nodes that read or wrote files where a flow said, in the products that flows come from.
OF_PATHS = ("folderFiles", "readFile", "writeFile", "sqliteVectorStore", "hnswlib", "unstructuredFolderLoader")
# Who in the shipped code opens files at all; none of these takes a path from a flow or from a call.
OPENS = {
    "chatflows/demo/__init__.py",  # its own files
    "chatflows/interchange.py",  # the operator's, of `manage.py flows`
    "engine/nodes/github.py",  # an archive in memory, whose members are read and never unpacked
    "engine/readers.py",  # a name of its own in a folder of its own
    "engine/sandbox/guest.py",  # its own files
    "forjinn/management/commands/route_table.py",
    "forjinn/env.py",  # the operator's secrets
}
FILES = ("read_text", "write_text", "read_bytes", "write_bytes", "unlink", "mkdir")


def test_no_code_that_flows_reach_opens_files_by_name() -> None:
    opened = {
        path
        for path, name, _ in calls()
        if name in ("open", "io.open", "os.open", "tarfile.open", "zipfile.ZipFile") or name.split(".")[-1] in FILES
    }

    assert {path for path in opened if not path.startswith("forjinn/embedded/")} <= OPENS


def test_there_is_no_node_that_takes_a_path() -> None:
    known = {node_type.spec.name for node_type in load_registry()}

    assert not known & set(OF_PATHS)


@pytest.mark.django_db
@pytest.mark.parametrize("path", TRAVERSALS)
def test_a_path_is_no_id(api: Api, path: str) -> None:
    for address in ("/chatflows/{}", "/tools/{}", "/document-store/store/{}", "/executions/{}", "/node-icon/{}"):
        assert api.get(address.format(quote(path, safe=""))).status_code in (400, 404)


@pytest.mark.parametrize("name", [name for name in TRAVERSALS if "\0" not in name])
def test_a_chat_is_called_as_its_client_likes(holder: Caller, chat: str, name: str) -> None:
    answer = holder.answer(chat, "Hi", chatId=name, overrideConfig={"sessionId": name})

    assert (answer["chatId"], answer["sessionId"]) == (name, name)


@pytest.mark.parametrize("name", ["customer+7f3a", "a b", "ü"])
def test_ids_with_signs_in_them_are_ids(holder: Caller, chat: str, name: str) -> None:
    assert holder.answer(chat, "Hi", chatId=name)["chatId"] == name


def test_a_collections_name_is_data_and_bounded() -> None:
    vectors: Any = WorkspaceVectors(None, None)  # type: ignore[arg-type]  # nothing is asked of them

    assert vectors.table("../../x'; DROP TABLE y; --")._place[1] == "../../x'; DROP TABLE y; --"
    with pytest.raises(NodeInputError):
        vectors.table("x" * 5000)
