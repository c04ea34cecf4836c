"""Files that stand in a flow's inputs: data URIs, one or several."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from engine.errors import NodeInputError

MOST_BYTES = 64 * 1024 * 1024  # of one input
STORED = "FILE-STORAGE::"
NAMED = ",filename:"


@dataclass(frozen=True, slots=True)
class File:
    """A file's name, MIME type and bytes."""

    name: str
    mime: str
    content: bytes

    @property
    def extension(self) -> str:
        """In lower case, without the dot."""
        return PurePosixPath(self.name).suffix.lstrip(".").lower()

    @property
    def text(self) -> str:
        """As UTF-8, with or without a byte order mark; what is no UTF-8 is replaced."""
        return self.content.decode("utf-8-sig", "replace")


def read_files(inputs: Mapping[str, Any], name: str) -> list[File]:
    """The files of an input: `data:<mime>;base64,<...>,filename:<name>`, or a JSON list of such.

    Raises NodeInputError if there are none, or for what is no file.
    """
    value = inputs.get(name)
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as exc:
            raise NodeInputError(f"{name} must hold files as data URIs.") from exc
    uris = value if isinstance(value, list) else [value] if value else []
    if not uris:
        raise NodeInputError(f"{name} holds no file: exported flows leave files out, so add it again.")
    files = [_file(uri, name) for uri in uris]
    if sum(len(file.content) for file in files) > MOST_BYTES:
        raise NodeInputError(f"{name} holds more than {MOST_BYTES // 1024**2} MB.")
    return files


def _file(uri: Any, name: str) -> File:
    if not isinstance(uri, str) or not uri.startswith("data:"):
        if isinstance(uri, str) and uri.startswith(STORED):
            raise NodeInputError(
                f"{name} names a file that is stored on another server ({uri[:80]}): add the file itself again."
            )
        raise NodeInputError(f"{name} must hold files as data URIs such as data:text/plain;base64,...,filename:a.txt.")
    head, _, rest = uri.partition(",")
    encoded, _, filename = rest.partition(NAMED)
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise NodeInputError(f"{name} holds a file that is not in base64.") from exc
    return File(filename or "file", head.removeprefix("data:").partition(";")[0], content)


def data_uri(file: File) -> str:
    """The file as `read_files` reads it."""
    return f"data:{file.mime};base64,{base64.b64encode(file.content).decode()}{NAMED}{file.name}"
