"""The published records and the controls that answer them, as docs/security.md shows them.

`python -m tests.security.records` writes the table into the document.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "security.md"
DATA = ROOT / "docs" / "security" / "records.csv"
BEGIN, END = "<!-- records:begin -->", "<!-- records:end -->"


@dataclass(frozen=True, slots=True)
class Record:
    """One published vulnerability of a product that people come from."""

    ids: tuple[str, ...]
    product: str
    kind: str
    mechanism: str
    controls: tuple[str, ...]
    here: str


def records() -> list[Record]:
    with DATA.open(newline="") as file:
        return [
            Record(
                (*row["cve"].split(), *row["ghsa"].split()),
                row["product"],
                row["class"],
                row["mechanism"],
                tuple(row["controls"].split()),
                row["here"],
            )
            for row in csv.DictReader(file)
        ]


def table() -> str:
    lines = [
        "| Record | Product | Class | How it worked | Controls | What it meets here |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {'<br>'.join(r.ids)} | {r.product} | {r.kind} | {r.mechanism} | {' '.join(r.controls)} | {r.here} |"
        for r in records()
    ]
    return "\n".join(lines)


def shown() -> str:
    """The table that stands in the document."""
    return DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0].strip()


if __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}")
