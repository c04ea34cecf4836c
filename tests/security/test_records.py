"""Each published record has controls, each control a file of tests, and the document says what the data says."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.platform import ROOT
from tests.security.records import records, shown, table

HERE = Path(__file__).parent
ALIKE = 4  # records of one and the same hole
CONTROLS = {f"C{number}" for number in range(1, 22)}


def covered() -> set[str]:
    return {f"C{int(path.name[6:8])}" for path in HERE.glob("test_c[0-9][0-9]_*.py")}


def test_every_control_has_a_file_of_tests() -> None:
    assert covered() == CONTROLS


def test_every_record_is_answered_by_controls_that_exist() -> None:
    found = records()

    assert len(found) == 192
    assert [record.ids for record in found if not record.controls or not CONTROLS.issuperset(record.controls)] == []
    assert [record.ids for record in found if not record.ids or not record.here] == []


def test_a_record_is_answered_by_what_meets_it_and_not_by_its_control() -> None:
    told = Counter(record.here for record in records())

    assert [answer for answer, rows in told.items() if rows > ALIKE] == []


def test_the_document_shows_the_records() -> None:
    assert shown() == table()


def test_the_document_names_each_controls_code_and_tests() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    told = dict(re.findall(r"^- \*\*(C\d+) (.*)$", text, re.MULTILINE))
    paths = {control: re.findall(r"`([\w.]+/[\w./]*)`", line) for control, line in told.items()}

    assert told.keys() == CONTROLS
    assert [path for found in paths.values() for path in found if not (ROOT / path).exists()] == []
    for control, found in paths.items():
        assert f"tests/security/test_c{int(control[1:]):02}_" in " ".join(found), control
        assert any(not path.startswith("tests/") for path in found), control
