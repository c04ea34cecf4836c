"""The SQL statements of a platform, as its PostgreSQL sees them: whoever sends them, and by whichever connection."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from tests.journeys.stage import service_url
from tests.platform import Platform

REPEATS = 20  # what goes on by itself once or twice a second does not come as often as this
SETTINGS = {"log_statement": "all", "log_line_prefix": "%a|", "log_parameter_max_length": "0"}
STATEMENT = re.compile(r"^(?P<by>[^|\n]*)\|LOG:  (?:statement|execute [^:]+): (?P<sql>.*(?:\n\t.*)*)", re.MULTILINE)
DELIVERING = "UPDATE hooks_hookdelivery"  # what other tests' receivers are sent has its own pace
LITERAL = re.compile(r"'(?:[^']|'')*'(?:::\w+(?:\[\])?)?|\b\d+\b|s\d+_x\d+|\bIN \([^()]*\)")


class Statements:
    """What PostgreSQL writes down of the statements that it is sent."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def each(self, call: Callable[[], object]) -> list[str]:
        """The statements that every such call takes, as `<connection>: <statement>`, values left out."""
        call()
        call()  # whatever is remembered from one call to the next is, now
        start = self._log.stat().st_size
        for _ in range(REPEATS):
            call()
        with self._log.open(encoding="utf-8") as log:
            log.seek(start)
            seen = Counter(f"{match['by']}: {plain(match['sql'])}" for match in STATEMENT.finditer(log.read()))
        found = Counter({sql: round(times / REPEATS) for sql, times in seen.items() if DELIVERING not in sql})
        return sorted(found.elements())


def plain(sql: str) -> str:
    return LITERAL.sub("?", " ".join(sql.split()))


@contextlib.contextmanager
def watched_statements(platform: Platform) -> Iterator[Statements]:
    with psycopg.connect(service_url(platform, "postgres"), autocommit=True) as connection:
        for name, value in SETTINGS.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield Statements(platform.var / "log" / "postgres.log")
        finally:
            for name in SETTINGS:
                connection.execute(f"ALTER SYSTEM RESET {name}")
            connection.execute("SELECT pg_reload_conf()")
