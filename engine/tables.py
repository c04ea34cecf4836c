"""Tables of text, and the few things that may be asked of one: what an analysis is made of instead of code."""

from __future__ import annotations

import csv
import io
import math
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import NodeInputError
from engine.files import File

MOST_ROWS = 100_000
MOST_COLUMNS = 500
MOST_SHOWN = 50  # rows or groups of one answer
DELIMITERS = ",;\t|"
NUMBER = re.compile(r"[-+]?(\d+|\d{1,3}(,\d{3})+)?(\.\d+)?([eE][-+]?\d+)?")
COMMON = 5  # values that a description names

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns. All cells are text; numbers are read where numbers are asked for."""

    columns: tuple[str, ...]
    rows: Sequence[Row]

    def index(self, column: Any) -> int:
        """Where a column stands. Raises NodeInputError that names those there are."""
        if column not in self.columns:
            raise NodeInputError(f"There is no column {column!r}. Columns: {', '.join(self.columns)}.")
        return self.columns.index(column)

    def cells(self, column: Any) -> list[str]:
        at = self.index(column)
        return [row[at] for row in self.rows]


def read_table(files: Sequence[File]) -> Table:
    """The table of CSV files; several make one if their columns are the same. May take long: call it in a thread.

    The first line names the columns; commas, semicolons, tabs and bars are told apart by it. Raises NodeInputError.
    """
    first, *rest = [_read(file) for file in files]
    rows = list(first.rows)
    for file, table in zip(files[1:], rest, strict=True):
        if table.columns != first.columns:
            raise NodeInputError(f"{file.name} has other columns than {files[0].name}: analyse it by itself.")
        rows += table.rows
    if len(rows) > MOST_ROWS:
        raise NodeInputError(f"The table has {len(rows)} rows; {MOST_ROWS} can be analysed: leave some out.")
    return Table(first.columns, rows)


def _read(file: File) -> Table:
    head = file.text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=head.count)
    try:
        lines = [tuple(line) for line in csv.reader(io.StringIO(file.text, newline=""), delimiter=delimiter) if line]
    except csv.Error as exc:
        raise NodeInputError(f"{file.name} is no CSV file that can be read: {exc}.") from exc
    if not lines:
        raise NodeInputError(f"{file.name} is empty: its first line must name the columns.")
    if len(lines[0]) > MOST_COLUMNS:
        raise NodeInputError(f"{file.name} has {len(lines[0])} columns; {MOST_COLUMNS} can be analysed.")
    columns = _named(lines[0])
    width = len(columns)
    return Table(columns, [(*row[:width], *("",) * (width - len(row))) for row in lines[1:]])


def _named(head: Iterable[str]) -> tuple[str, ...]:
    """Names without spaces around them, each once: nameless and repeated ones are numbered."""
    names: list[str] = []
    for place, given in enumerate(head, 1):
        name = base = given.strip() or f"column_{place}"
        number = 2
        while name in names:
            name, number = f"{base}_{number}", number + 1
        names.append(name)
    return tuple(names)


def read_number(text: str) -> float | None:
    """The number in a cell, also with a currency's sign, a percent sign or thousands apart; None if there is none."""
    bare = text.strip().strip("$€£¥%").strip()
    if not bare or not NUMBER.fullmatch(bare) or not any(char.isdigit() for char in bare):
        return None
    number = float(bare.replace(",", ""))
    return number if math.isfinite(number) else None


def _is_same(cell: str, value: str) -> bool:
    left, right = read_number(cell), read_number(value)
    return left == right if left is not None and right is not None else _folded(cell) == _folded(value)


def _compared(cell: str, value: str) -> int:
    """Less than, equal to or more than 0; by number if both are one, else as text, which orders ISO dates as well."""
    left, right = read_number(cell), read_number(value)
    if left is not None and right is not None:
        return (left > right) - (left < right)
    return (_folded(cell) > _folded(value)) - (_folded(cell) < _folded(value))


def _folded(text: str) -> str:
    return text.strip().casefold()


OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "=": _is_same,
    "!=": lambda cell, value: not _is_same(cell, value),
    "<": lambda cell, value: bool(cell.strip()) and _compared(cell, value) < 0,
    "<=": lambda cell, value: bool(cell.strip()) and _compared(cell, value) <= 0,
    ">": lambda cell, value: bool(cell.strip()) and _compared(cell, value) > 0,
    ">=": lambda cell, value: bool(cell.strip()) and _compared(cell, value) >= 0,
    "contains": lambda cell, value: _folded(value) in _folded(cell),
    "not contains": lambda cell, value: _folded(value) not in _folded(cell),
    "starts with": lambda cell, value: _folded(cell).startswith(_folded(value)),
    "ends with": lambda cell, value: _folded(cell).endswith(_folded(value)),
    "is empty": lambda cell, _: not cell.strip(),
    "is not empty": lambda cell, _: bool(cell.strip()),
}
FUNCTIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": lambda numbers: float(sum(numbers)),
    "mean": statistics.fmean,
    "median": statistics.median,
    "min": min,
    "max": max,
    "standard deviation": lambda numbers: statistics.stdev(numbers) if len(numbers) > 1 else 0.0,
}
COUNTS = ("count", "count distinct")


def where(table: Table, conditions: Any) -> Table:
    """The rows that meet all conditions, each {column, operator, value}. Raises NodeInputError for one that is none."""
    if not conditions:
        return table
    if not isinstance(conditions, list) or not all(isinstance(one, Mapping) for one in conditions):
        raise NodeInputError('Conditions are a list such as [{"column": "...", "operator": "=", "value": "..."}].')
    rows = table.rows
    for condition in conditions:
        at, value = table.index(condition.get("column")), _text(condition.get("value"))
        test = OPERATORS.get(str(condition.get("operator", "=")))
        if test is None:
            raise NodeInputError(f"There is no operator {condition['operator']!r}. Operators: {', '.join(OPERATORS)}.")
        rows = [row for row in rows if test(row[at], value)]
    return Table(table.columns, rows)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def ordered(table: Table, column: Any, *, descending: bool) -> Table:
    """Sorted by a column: numbers before texts, empty cells last."""
    at = table.index(column)
    filled = [row for row in table.rows if row[at].strip()]
    empty = [row for row in table.rows if not row[at].strip()]
    return Table(table.columns, sorted(filled, key=lambda row: _rank(row[at]), reverse=descending) + empty)


def _rank(cell: str) -> tuple[int, float, str]:
    number = read_number(cell)
    return (1, 0.0, _folded(cell)) if number is None else (0, number, "")


def selected(table: Table, columns: Any, limit: int) -> list[dict[str, str]]:
    """Rows as objects, of the named columns or all."""
    names = columns or table.columns
    places = [table.index(name) for name in names]
    return [{name: row[at] for name, at in zip(names, places, strict=True)} for row in table.rows[:limit]]


def aggregated(table: Table, function: Any, column: Any, group_by: Any) -> list[dict[str, Any]]:
    """A value of a column for each group, the largest first; for all rows if there is nothing to group by.

    Cells that hold no number do not take part, except in counts. Raises NodeInputError for a function that is none.
    """
    if not isinstance(function, str) or (function not in FUNCTIONS and function not in COUNTS):
        raise NodeInputError(f"There is no function {function!r}. Functions: {', '.join((*COUNTS, *FUNCTIONS))}.")
    if function != "count" and not column:
        raise NodeInputError(f"To work out the {function} a column is needed.")
    keys = [table.index(name) for name in group_by or ()]
    groups: dict[Row, list[str]] = {} if keys else {(): []}
    at = table.index(column) if column else None
    for row in table.rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append("1" if at is None else row[at])
    results = [
        {**dict(zip(group_by or (), group, strict=True)), "value": _value(function, cells)}
        for group, cells in groups.items()
    ]
    return sorted(results, key=lambda result: (result["value"] is None, -(result["value"] or 0)))


def _value(function: str, cells: Sequence[str]) -> float | None:
    if function == "count":
        return sum(1 for cell in cells if cell.strip())
    if function == "count distinct":
        return len({cell.strip() for cell in cells if cell.strip()})
    numbers = [number for number in map(read_number, cells) if number is not None]
    return _figure(function, numbers) if numbers else None


def _figure(function: str, numbers: Sequence[float]) -> float | None:
    """None for a figure that is larger than a float can be."""
    try:
        figure = FUNCTIONS[function](numbers)
    except OverflowError:
        return None
    return figure if math.isfinite(figure) else None


def described(table: Table, column: Any) -> dict[str, Any]:
    """What is in a column: how many cells are filled, how many differ, the commonest; of numbers, their spread."""
    cells = [cell.strip() for cell in table.cells(column) if cell.strip()]
    numbers = [number for number in map(read_number, cells) if number is not None]
    counts = Counter(cells)
    about: dict[str, Any] = {
        "column": column,
        "filled": len(cells),
        "empty": len(table.rows) - len(cells),
        "distinct": len(counts),
        "commonest": [{"value": value, "count": count} for value, count in counts.most_common(COMMON)],
    }
    if numbers and len(numbers) == len(cells):
        about |= {name: _figure(name, numbers) for name in FUNCTIONS}
    return about
