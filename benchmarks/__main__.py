"""`make bench`: measures the budgets of docs/performance.md and prints them as a table and as Markdown."""

from __future__ import annotations

import argparse
import platform as host
import sys
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks import measures
from benchmarks.platform import Measured, running


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `bar` is what must hold; `is_met` is None where nothing is promised."""

    name: str
    value: str
    bar: str = ""
    is_met: bool | None = None


async def measure(platform: Measured, *, only: str) -> list[Row]:
    rows: list[Row] = []
    for group in measures.GROUPS:
        if only and only not in group.__name__:
            continue
        print(f"… {(group.__doc__ or group.__name__).splitlines()[0]}", file=sys.stderr, flush=True)
        async for name, value, bar, is_met in group(platform):
            rows.append(Row(name, value, bar, is_met))
            print(
                f"    {name:62} {value:>24}   {bar}{'' if is_met in (None, True) else '  MISSED'}",
                file=sys.stderr,
                flush=True,
            )
    return rows


def markdown(rows: list[Row]) -> str:
    lines = ["| | measured | first bar |", "|---|---|---|"]
    for row in rows:
        mark = "" if row.is_met is None else (" ✓" if row.is_met else " ✗")
        lines.append(f"| {row.name} | {row.value} | {row.bar}{mark} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", help="part of a group's name, such as streams or crud")
    parser.add_argument("--out", type=Path, help="also write the Markdown table to this file")
    options = parser.parse_args()
    with running() as platform:
        rows = uvloop.run(measure(platform, only=options.only))
    table = markdown(rows)
    print(f"\nPython {host.python_version()}, {host.machine()}\n\n{table}")
    if options.out:
        options.out.write_text(table + "\n")
    missed = [row.name for row in rows if row.is_met is False]
    if missed:
        print(f"\nmissed: {', '.join(missed)}", file=sys.stderr)


if __name__ == "__main__":
    main()
