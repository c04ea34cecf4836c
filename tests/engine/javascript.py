"""A sandbox for many tests, as one process takes a second to start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from engine.context import Returned
from engine.egress import Egress
from engine.http import HttpClient
from engine.sandbox.pool import JavaScriptSandbox


@dataclass(frozen=True, slots=True)
class JavaScript:
    """Runs functions whose requests may reach the tests' own servers."""

    sandbox: JavaScriptSandbox
    http: HttpClient

    async def run(self, code: str, **variables: Any) -> Any:
        """What the function returns; a variable `name` is `$name` in it."""
        return (await self.returned(code, **variables)).value

    async def returned(self, code: str, **variables: Any) -> Returned:
        """What it returns, with what it wrote to its console."""
        named = {f"${name}": value for name, value in variables.items()}
        return await self.sandbox.run(code, variables=named, http=self.http)


@asynccontextmanager
async def javascript_sandbox(**limits: Any) -> AsyncIterator[JavaScript]:
    async with HttpClient(Egress(["127.0.0.1"])) as http, JavaScriptSandbox(**limits) as sandbox:
        yield JavaScript(sandbox, http)
