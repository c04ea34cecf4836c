"""C14: whatever somebody writes comes back as data: no answer lets it run in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from tests.factories import make_api_key, make_chatflow
from tests.security.walk import Call, addressed, calls
from workspaces.models import Workspace

ROOT = Path(__file__).resolve().parents[2]
PAYLOAD = "<script>alert(1)</script>"
PAYLOADS = [PAYLOAD, '"><img src=x onerror=alert(1)>', "javascript:alert(1)", "{{7*7}}", "<svg/onload=alert(1)>"]
READS = [call for call in calls() if call.method == "GET"]


class Everything(dict[str, str]):
    """The payload, whatever a parameter is called."""

    def get(self, key: str, default: object = None) -> str:
        return PAYLOAD


def is_page(content_type: str) -> bool:
    return content_type.startswith(("text/html", "application/xhtml", "text/xml", "image/svg"))


@pytest.mark.django_db
@pytest.mark.parametrize("call", READS, ids=str)
def test_what_stands_in_an_address_is_not_drawn(call: Call, workspace: Workspace) -> None:
    headers = {"Authorization": f"Bearer {make_api_key(workspace)[1]}"}
    path = addressed(call, Everything())

    for client in (Client(raise_request_exception=False), Client(raise_request_exception=False, headers=headers)):
        if call.path.startswith(("/api/v1/runs", "/ready")) or "stream" in call.path or is_asynchronous(call):
            continue  # they need a running platform; their errors are those of `forjinn.core.errors`, as all are
        answer = client.get(f"{path}?q={PAYLOAD}&type={PAYLOAD}")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if is_page(answer.headers.get("Content-Type", "")) and not answer.streaming:
            assert PAYLOAD not in answer.content.decode()


def is_asynchronous(call: Call) -> bool:
    return call.path.startswith(("/api/stepflow", "/workflows")) or "prediction" in call.path


@pytest.mark.django_db
@pytest.mark.parametrize("payload", PAYLOADS)
def test_an_address_that_is_not_there_is_told_as_data(payload: str) -> None:
    for prefix in ("/api/v1/", "/workflows/v1/", "/"):
        answer = Client(raise_request_exception=False).get(f"{prefix}nowhere/{payload}")
        assert answer.status_code in (401, 404)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if is_page(answer.headers["Content-Type"]):
            assert payload not in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("payload", PAYLOADS)
def test_names_of_flows_are_text_on_pages(workspace: Workspace, payload: str) -> None:
    flow = make_chatflow(workspace, name=payload, description=payload, is_public=True, deployed=True)

    text = Client().get("/").content.decode()

    assert str(flow.pk) in text
    assert "<script>alert" not in text
    assert "onerror=alert" not in text.replace("&quot;", '"').replace("&gt;", "") or "<img" not in text


def test_our_pages_write_no_html_of_others_and_hold_no_script_of_their_own() -> None:
    scripts = "".join(path.read_text() for path in (ROOT / "predictions" / "static").rglob("*.js"))
    pages = "".join(path.read_text() for path in (ROOT / "predictions" / "templates").rglob("*.html"))

    assert scripts
    assert not [way for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write") if way in scripts]
    assert "|safe" not in pages
    assert "<script>" not in pages


@pytest.mark.django_db
def test_pages_may_run_our_own_scripts_alone(workspace: Workspace) -> None:
    policy = Client().get("/").headers["Content-Security-Policy"]

    assert "script-src 'self'" in policy
    assert "unsafe" not in policy.partition("script-src")[2].partition(";")[0]
    assert "frame-ancestors 'none'" in policy
