"""Tools out of files: templates, and those that come with the export of a workspace."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chatflows.models import Chatflow, Tool
from chatflows.tools import create_tool
from tests.predictions import drawing
from workspaces.models import Workspace

TEMPLATES = Path(__file__).resolve().parents[1] / "flows" / "tools"
ID = "29e51b55-6d5a-4f4f-9376-a864a62004cb"
OTHER_ID = "f0ea4e6b-d95d-4554-8270-d8e31b393243"
MAIL = {
    "name": "send_mail",
    "description": "Sends mail.",
    "color": "red",
    "iconSrc": "mail.svg",
    "schema": '[{"property":"to","type":"string","required":true}]',
    "func": "return `Sent to ${$to}`",
}


def write(folder: Path, name: str, document: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def export(**change: Any) -> dict[str, Any]:
    """A workspace of one flow, and the tool that it names."""
    return {
        "ChatFlow": [{"id": "x", "name": "Support", "flowData": drawing.tool_agent("http://127.0.0.1:1/v1", ID)}],
        "Tool": [{"id": ID, **MAIL, **change}],
    }


def imported(workspace: Workspace, *paths: Path) -> str:
    out = StringIO()
    call_command("flows", "import", *map(str, paths), workspace=workspace.name, stdout=out, stderr=out)
    return out.getvalue()


def test_a_template_is_kept_with_all_that_it_says(workspace: Workspace, tmp_path: Path) -> None:
    said = imported(workspace, write(tmp_path, "Mail.json", MAIL))

    tool = Tool.objects.get_for(workspace.pk, name="send_mail")
    assert said == f"created    {tool.pk}  tool       send_mail\n"
    assert (tool.description, tool.color, tool.icon_src) == ("Sends mail.", "red", "mail.svg")
    assert (tool.schema, tool.func) == (MAIL["schema"], MAIL["func"])


def test_every_published_template_can_be_kept(workspace: Workspace) -> None:
    said = imported(workspace, TEMPLATES)

    assert said.count("created") == Tool.objects.of(workspace.pk).count() == len(list(TEMPLATES.glob("*.json")))


def test_importing_again_changes_nothing_and_a_changed_file_changes_the_tool(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = write(tmp_path, "mail.json", MAIL)
    imported(workspace, path)

    again = imported(workspace, path)
    changed = imported(workspace, write(tmp_path, "mail.json", {**MAIL, "func": "return 2"}))

    assert again.startswith("unchanged")
    assert changed.startswith("updated")
    assert Tool.objects.get().func == "return 2"


def test_a_name_that_several_tools_have_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    for _ in range(2):
        create_tool(workspace_id=workspace.pk, name="send_mail", func="return 1")

    with pytest.raises(CommandError, match="1 could not be imported"):
        imported(workspace, write(tmp_path, "mail.json", MAIL))

    assert set(Tool.objects.values_list("func", flat=True)) == {"return 1"}


@pytest.mark.parametrize("change", [{"schema": "{}"}, {"func": ""}, {"func": 1}, {"func": "\0"}, {"color": ["red"]}])
def test_a_tool_that_is_none_is_refused_and_the_others_are_in(
    workspace: Workspace, tmp_path: Path, change: dict[str, Any]
) -> None:
    bad, good = write(tmp_path, "bad.json", {**MAIL, **change}), write(tmp_path, "good.json", MAIL)

    with pytest.raises(CommandError, match="1 could not be imported"):
        imported(workspace, bad, good)

    assert Tool.objects.count() == 1


def test_the_tool_of_an_export_keeps_the_id_that_its_flows_name(workspace: Workspace, tmp_path: Path) -> None:
    path = write(tmp_path, "all.json", export())

    said = imported(workspace, path)

    assert str(Tool.objects.get_for(workspace.pk, name="send_mail").pk) == ID
    assert "left out" not in said
    assert imported(workspace, path).count("unchanged") == 2


def test_tools_of_an_export_that_share_a_name_stay_apart(workspace: Workspace, tmp_path: Path) -> None:
    other = {**MAIL, "id": OTHER_ID, "func": "return 'other'"}
    path = write(tmp_path, "all.json", {"Tool": [{"id": ID, **MAIL}, other]})

    imported(workspace, path)
    again = imported(workspace, path)

    functions = {str(tool.pk): tool.func for tool in Tool.objects.of(workspace.pk)}
    assert functions == {ID: MAIL["func"], OTHER_ID: other["func"]}
    assert again.count("unchanged") == 2


def test_a_tool_that_was_renamed_here_is_found_by_its_id(workspace: Workspace, tmp_path: Path) -> None:
    path = write(tmp_path, "all.json", export())
    imported(workspace, path)
    Tool.objects.update(name="renamed_here")

    imported(workspace, path)

    assert Tool.objects.get().name == "send_mail"


def test_where_somebody_else_has_the_id_the_flows_that_name_it_are_told(
    workspace: Workspace, stranger: Workspace, tmp_path: Path
) -> None:
    path = write(tmp_path, "all.json", export())
    imported(stranger, path)

    said = imported(workspace, path)

    own = Tool.objects.get_for(workspace.pk, name="send_mail")
    assert f"left out   tool 'send_mail' has the id {own.pk} here: choose it anew in 'Support'\n" in said
    assert Tool.objects.get_for(stranger.pk, name="send_mail").pk != own.pk
    flow = Chatflow.objects.select_related("version").get_for(workspace.pk, name="Support")
    assert flow.version is not None
    assert ID in flow.version.flow_data


def test_a_tool_of_an_export_that_is_none_is_told_and_the_flow_is_in(workspace: Workspace, tmp_path: Path) -> None:
    said = imported(workspace, write(tmp_path, "all.json", export(schema="[")))

    assert "left out   tool 'send_mail': schema: not valid JSON" in said
    assert Chatflow.objects.of(workspace.pk).count() == 1
    assert not Tool.objects.exists()


def test_checking_an_export_misses_only_the_tools_that_it_does_not_bring(tmp_path: Path) -> None:
    whole = states(write(tmp_path, "all.json", export()))
    alone = states(write(tmp_path, "alone.json", {**export(), "Tool": []}))

    assert whole == {"Support": "runs", "send_mail": "custom tool, runs in the sandbox"}
    assert alone == {"Support": "needs value: selectedTool"}


def states(path: Path) -> dict[str, str]:
    out = StringIO()
    call_command("flows", "check", str(path), "--json", stdout=out)
    return {one["name"]: one["state"] for one in json.loads(out.getvalue())}
