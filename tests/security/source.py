"""What the shipped Python says, read as syntax: for rules on what the code base may import and call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("apikeys", "chatflows", "engine", "forjinn", "predictions", "workspaces")


@cache
def trees() -> dict[str, ast.Module]:
    """Every module that a server is made of, by its path from the root."""
    paths = sorted(path for folder in SHIPPED for path in (ROOT / folder).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in paths}


@cache
def calls() -> tuple[tuple[str, str, ast.Call], ...]:
    """(path, what is called as it is written, the call) of every call by a name: `yaml.load`, `eval`, `self.x.eval`."""
    return tuple(
        (path, ast.unparse(node.func), node)
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    )


def imports() -> Iterator[tuple[str, str]]:
    """(path, module) of every import, wherever it stands; `from a import b` is both a and a.b."""
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield path, node.module
                yield from ((path, f"{node.module}.{alias.name}") for alias in node.names)
