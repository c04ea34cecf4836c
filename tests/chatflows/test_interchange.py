"""Flows in files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from chatflows.interchange import FileInvalid, read_flow_file
from chatflows.models import Chatflow, ChatflowVersion
from tests.factories import graph_text, make_chatflow
from workspaces.models import Workspace

UNKNOWN = {"id": "neverHeardOf_0", "name": "neverHeardOf"}
AGENT = {"id": "startAgentflow_0", "name": "startAgentflow"}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def import_files(workspace: Workspace, *paths: Path) -> None:
    call_command("flows", "import", *map(str, paths), workspace=workspace.name, verbosity=0)


def test_a_canvas_export_keeps_its_bytes_and_its_unknown_nodes(workspace: Workspace, tmp_path: Path) -> None:
    text = graph_text(UNKNOWN) + "\n"

    import_files(workspace, write(tmp_path, "My flow.json", text))

    chatflow = Chatflow.objects.select_related("version").get()
    assert (chatflow.name, chatflow.kind, chatflow.deployed) == ("My flow", "CHATFLOW", False)
    assert chatflow.version is not None
    assert chatflow.version.flow_data == text


def test_a_template_gives_its_description_and_the_rest_is_the_graph(tmp_path: Path) -> None:
    template = {"description": "Says hello", "usecases": ["Basic"], **json.loads(graph_text(AGENT)), "extra": 1}

    flow = read_flow_file(write(tmp_path, "Hello.json", json.dumps(template)))

    assert (flow.name, flow.description, flow.kind) == ("Hello", "Says hello", "AGENTFLOW")
    assert json.loads(flow.flow_data).keys() == {"nodes", "edges", "extra"}


def test_importing_again_changes_nothing_and_a_changed_file_makes_a_version(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = write(tmp_path, "Bot.json", graph_text(UNKNOWN))
    import_files(workspace, path)
    import_files(workspace, path)
    assert ChatflowVersion.objects.count() == 1

    import_files(workspace, write(tmp_path, "Bot.json", graph_text(UNKNOWN, {"id": "b", "name": "b"})))

    assert Chatflow.objects.count() == 1
    assert ChatflowVersion.objects.count() == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"ChatFlow":[],"Tool":[]}', "this is the export of a whole workspace"),
        ('{"name":"t","schema":"[]","func":"return 1"}', "this is a tool, not a flow"),
        ('{"nodes":[]}', "expected an object with nodes and edges"),
        ("[]", "expected an object with nodes and edges"),
        ("{", "not valid JSON"),
    ],
)
def test_a_file_that_is_no_flow_is_told_what_it_is(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(FileInvalid, match=problem):
        read_flow_file(write(tmp_path, "x.json", text))


def test_one_bad_file_does_not_keep_the_others_out(workspace: Workspace, tmp_path: Path) -> None:
    write(tmp_path, "bad.json", "{")
    write(tmp_path, "good.json", graph_text(UNKNOWN))

    with pytest.raises(CommandError, match="1 of 2 files could not be imported"):
        import_files(workspace, tmp_path)

    assert list(Chatflow.objects.values_list("name", flat=True)) == ["good"]


def test_a_name_that_several_flows_have_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    for _ in range(2):
        make_chatflow(workspace, name="Bot")

    with pytest.raises(CommandError):
        import_files(workspace, write(tmp_path, "Bot.json", graph_text(UNKNOWN)))

    assert ChatflowVersion.objects.count() == 2


def test_a_flow_of_another_type_is_not_overwritten(workspace: Workspace, tmp_path: Path) -> None:
    make_chatflow(workspace, name="Bot")

    with pytest.raises(CommandError):
        import_files(workspace, write(tmp_path, "Bot.json", graph_text(AGENT)))

    assert Chatflow.objects.get().kind == "CHATFLOW"


def test_another_workspaces_flow_of_the_name_is_left_alone(
    workspace: Workspace, stranger: Workspace, tmp_path: Path
) -> None:
    theirs = make_chatflow(stranger, name="Bot")

    import_files(workspace, write(tmp_path, "Bot.json", graph_text(UNKNOWN)))

    assert Chatflow.objects.count() == 2
    assert theirs.versions.count() == 1


def test_an_unknown_workspace_is_named(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=f"No workspace is named 'nope'; there are: '{workspace.name}'"):
        call_command("flows", "import", str(tmp_path), workspace="nope")
