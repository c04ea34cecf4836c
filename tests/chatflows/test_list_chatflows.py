"""Lists of flows: what is in them, their pages, and what they cost."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.cast import Api
from tests.factories import make_chatflow
from workspaces.models import Workspace


def names(api: Api, path: str) -> list[str]:
    return [row["name"] for row in api.get(path).json()]


def test_a_list_is_a_bare_array_newest_first_without_graphs(api: Api, workspace: Workspace) -> None:
    for name in ("first", "second"):
        make_chatflow(workspace, name=name)

    rows = api.get("/chatflows").json()

    assert [row["name"] for row in rows] == ["second", "first"]
    assert rows[0].keys() == {
        "id",
        "slug",
        "objectId",
        "name",
        "type",
        "deployed",
        "isPublic",
        "workspaceId",
        "createdDate",
        "updatedDate",
    }


def test_pages_are_twenty_long_and_linked(api: Api, workspace: Workspace) -> None:
    for number in range(25):
        make_chatflow(workspace, name=str(number))

    first, second = api.get("/chatflows"), api.get("/chatflows?page=2")

    assert (len(first.json()), len(second.json())) == (20, 5)
    assert first.headers["X-Total-Count"] == second.headers["X-Total-Count"] == "25"
    assert '</api/v1/chatflows?page=2&limit=20>; rel="next"' in first.headers["Link"]
    assert 'rel="prev"' not in first.headers["Link"]
    assert '</api/v1/chatflows?page=1&limit=20>; rel="prev"' in second.headers["Link"]
    assert 'rel="next"' not in second.headers["Link"]


def test_a_page_after_the_last_is_empty(api: Api, workspace: Workspace) -> None:
    make_chatflow(workspace)

    response = api.get("/chatflows?page=1000000&limit=1000")

    assert (response.status_code, response.json()) == (200, [])
    assert response.headers["X-Total-Count"] == "1"


def test_links_keep_the_filter_and_drop_the_key(workspace: Workspace, api: Api) -> None:
    make_chatflow(workspace)

    link = Api().get(f"/chatflows?type=CHATFLOW&limit=1&apiKey={api.key}").headers["Link"]

    assert '</api/v1/chatflows?type=CHATFLOW&page=1&limit=1>; rel="first"' in link
    assert "fj-" not in link


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=1.5", "page=x", "page=٣", f"page={10**30}", "page=%00"])
def test_a_page_that_is_none_is_refused(api: Api, query: str) -> None:
    response = api.get(f"/chatflows?{query}")

    assert response.status_code == 400
    assert response.json()["message"].startswith("page: expected a whole number from 1 to 1000000")


def test_a_limit_beyond_the_largest_is_refused(api: Api) -> None:
    response = api.get("/chatflows?limit=1001")

    assert response.status_code == 400
    assert response.json()["message"] == "limit: expected a whole number from 1 to 1000, got '1001'"


def test_a_limit_that_is_given_twice_is_refused(api: Api) -> None:
    response = api.get("/chatflows?limit=x&limit=1")

    assert response.status_code == 400
    assert response.json()["message"] == "limit: given more than once"


def test_a_list_can_be_of_one_type(api: Api, workspace: Workspace) -> None:
    for kind in ("CHATFLOW", "AGENTFLOW", "CREWAI"):
        make_chatflow(workspace, name=kind, kind=kind)

    assert names(api, "/chatflows?type=CREWAI") == ["CREWAI"]
    assert names(api, "/chatflows?type=") == ["CREWAI", "AGENTFLOW", "CHATFLOW"]


def test_agentflows_are_the_four_agent_types(api: Api, workspace: Workspace) -> None:
    for kind in ("CHATFLOW", "MULTIAGENT", "ASSISTANT", "AGENTFLOW", "AUTOADK", "AUTOGEN", "CREWAI"):
        make_chatflow(workspace, name=kind, kind=kind)

    assert names(api, "/agentflows") == ["CREWAI", "AUTOGEN", "AUTOADK", "AGENTFLOW"]
    assert names(api, "/agentflows?type=AUTOADK") == ["AUTOADK"]


@pytest.mark.parametrize(("path", "kind"), [("/chatflows", "WORKFLOW"), ("/agentflows", "CHATFLOW")])
def test_a_type_that_is_none_here_is_refused(api: Api, path: str, kind: str) -> None:
    response = api.get(f"{path}?type={kind}")

    assert response.status_code == 400
    assert response.json()["message"].startswith("type: expected one of ")
    assert response.json()["message"].endswith(f"got '{kind}'")


def test_a_list_is_two_statements_and_reads_no_graph(api: Api, workspace: Workspace) -> None:
    for _ in range(3):
        make_chatflow(workspace)
    api.get("/chatflows")

    with CaptureQueriesContext(connection) as queries:
        api.get("/chatflows")

    about_flows = [query["sql"] for query in queries if "chatflows_" in query["sql"]]
    assert len(about_flows) == 2
    assert not any("flow_data" in sql or "chatflowversion" in sql for sql in about_flows)
