"""The checked-in description of the API is the one that the platform gives of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from django.core.management import call_command
from django.test import Client

OPENAPI = Path(__file__).resolve().parents[2] / "docs" / "api" / "openapi.yaml"


def test_the_checked_in_file_is_not_stale(tmp_path: Path) -> None:
    fresh = tmp_path / "openapi.yaml"

    call_command("spectacular", validate=True, fail_on_warn=True, file=str(fresh))

    assert fresh.read_text() == OPENAPI.read_text(), "docs/api/openapi.yaml is stale: run `make openapi`"


@pytest.mark.django_db
def test_the_platform_serves_what_the_file_says(client: Client) -> None:
    served = client.get("/api/v1/openapi.json")

    assert served.status_code == 200
    assert served.json() == yaml.safe_load(OPENAPI.read_text())
