"""Many tenants in one database: lists of one workspace, whatever the others hold and whoever has called before."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from benchmarks import load
from benchmarks.load import Request, Result
from benchmarks.platform import Measured

LISTS = {"flows by turns": "/api/v1/chatflows?limit=20", "flows of a kind by turns": "/api/v1/chatflows?type=CHATFLOW"}
CALLERS = 20  # each of another workspace
EACH = 400


async def lists(platform: Measured, keys: Sequence[str]) -> dict[str, Result]:
    """What each list takes when the holders of these keys ask for it one after the other, again and again."""
    return {
        name: await _timed(platform, [load.ask(f"{path}&apiKey={key}", b"", method="GET") for key in keys])
        for name, path in LISTS.items()
    }


async def _timed(platform: Measured, requests: Sequence[Request]) -> Result:
    turns = itertools.cycle(requests)

    async def by_turns(caller: load.Caller, result: Result) -> None:
        await next(turns)(caller, result)

    await load.run(platform.url, by_turns, callers=1, each=2 * CALLERS)
    result = await load.run(platform.url, by_turns, callers=1, each=EACH)
    if result.errors:
        raise SystemExit(f"{result.errors} lists of {EACH} were refused")
    return result
