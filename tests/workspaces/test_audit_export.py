"""The audit trail as a file holds what the list does."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from tests.cast import Api
from tests.factories import make_chatflow
from workspaces.audit import export
from workspaces.models import Workspace


def download(api: Api, query: str) -> str:
    """The file, as an asynchronous server sends it."""

    async def ask() -> str:
        headers = {"Authorization": f"Bearer {api.key}"}
        answer: Any = await AsyncClient().get(f"/api/v1/audit/export?{query}", headers=headers)
        assert answer.status_code == 200
        return b"".join([part async for part in answer]).decode()

    text: str = async_to_sync(ask)()
    return text


@pytest.fixture(autouse=True)
def _short_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "BATCH", 4)


def test_lines_of_json_are_the_entries_of_the_list(api: Api, workspace: Workspace) -> None:
    for number in range(3):
        make_chatflow(workspace, name=f"Flow {number}")

    listed = api.get("/audit?limit=1000").json()
    lines = download(api, "format=jsonl").splitlines()

    assert len(lines) > export.BATCH
    assert [json.loads(line) for line in lines] == listed


def test_a_table_has_the_same_entries(api: Api, workspace: Workspace) -> None:
    make_chatflow(workspace, name='Said "hi", left')

    listed = api.get("/audit?limit=1000&resource=chatflows").json()
    rows = list(csv.DictReader(download(api, "format=csv&resource=chatflows").splitlines()))

    assert [row["id"] for row in rows] == [entry["id"] for entry in listed]
    assert (rows[0]["rowName"], rows[0]["actorKind"]) == ('Said "hi", left', "system")
    assert json.loads(rows[0]["after"]) == listed[0]["after"]


def test_a_name_is_no_formula_to_a_spreadsheet(api: Api, workspace: Workspace) -> None:
    make_chatflow(workspace, name='=HYPERLINK("https://evil.example")')

    rows = list(csv.DictReader(download(api, "format=csv&resource=chatflows").splitlines()))

    assert rows[0]["rowName"].startswith("'=")


def test_a_stranger_downloads_none_of_it(stranger_api: Api, workspace: Workspace) -> None:
    make_chatflow(workspace, name="Ours")

    assert "Ours" not in download(stranger_api, "format=jsonl")


def test_another_format_is_refused(api: Api) -> None:
    answer = api.get("/audit/export?format=xml")

    assert answer.status_code == 400
    assert answer.json()["message"] == "format: expected one of jsonl, csv"
