"""Flows in files."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chatflows.interchange import FileInvalid, read_flow_file
from chatflows.models import Chatflow, ChatflowVersion, Tool
from tests.factories import graph_text, make_chatflow
from workspaces.models import Workspace
from workspaces.services import variable_values

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
        ('{"ChatFlow":[],"Tool":[]}', "this is the export of a whole workspace, with 0 flows; import it"),
        ('{"id":"1","name":"x","flowData":"{}"}', "this is a flow as the API answers it"),
        ('{"name":"t","schema":"[]","func":"return 1"}', "this is a tool, not a flow"),
        ('{"nodes":[]}', "expected an object with nodes and edges"),
        ('{"nodes":[],"edges":[],"usecases":[],"x":' + "[" * 300 + "]" * 300 + "}", "nested deeper than 100 levels"),
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

    with pytest.raises(CommandError, match="1 could not be imported"):
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


class TestWorkspaceExport:
    ID = "6f1e2d3c-4b5a-4f6e-8d7c-9b8a7f6e5d4c"
    OTHER_ID = "7f1e2d3c-4b5a-4f6e-8d7c-9b8a7f6e5d4c"
    CONFIG = '{"overrideConfig":{"status":true}}'

    def export(self, **more: Any) -> str:
        flow = {
            "id": self.ID,
            "name": "Support",
            "flowData": graph_text(UNKNOWN),
            "apiConfig": self.CONFIG,
            "chatbotConfig": "not JSON",
            "apikeyid": self.ID,
            "deployed": True,
            "isPublic": True,
            "workspaceId": self.ID,
        }
        agent = {"id": "no uuid", "name": "Agent", "flowData": graph_text(AGENT)}
        variables = [{"name": "town", "value": "Oslo", "type": "static"}, {"name": "KEY", "type": "runtime"}]
        whole = {"ChatFlow": [flow], "AgentFlowV2": [agent], "Variable": variables, "Tool": [{"name": "mail"}], **more}
        return json.dumps(whole)

    def imported(self, workspace: Workspace, path: Path) -> str:
        out = StringIO()
        call_command("flows", "import", str(path), workspace=workspace.name, stdout=out, stderr=out)
        return out.getvalue()

    def test_flows_and_variables_are_taken_and_the_rest_is_told(self, workspace: Workspace, tmp_path: Path) -> None:
        said = self.imported(workspace, write(tmp_path, "all.json", self.export(ChatMessage=[{"id": 1}, {"id": 2}])))

        support, agent = Chatflow.objects.of(workspace.pk).order_by("-name")
        assert (str(support.pk), support.kind, support.api_config) == (self.ID, "CHATFLOW", self.CONFIG)
        assert (support.chatbot_config, support.apikey_id) == ("", None)
        assert (support.deployed, support.is_public) == (False, False)
        assert (agent.name, agent.kind) == ("Agent", "AGENTFLOW")
        assert variable_values(workspace.pk) == {"town": "Oslo"}
        assert "left out   variables from the other server's environment, to be set here: KEY" in said
        assert "left out   tool 'mail': func: missing" in said
        assert "left out   2 messages\n" in said

    def test_importing_again_changes_nothing_and_a_renamed_flow_is_found_by_its_id(
        self, workspace: Workspace, tmp_path: Path
    ) -> None:
        path = write(tmp_path, "all.json", self.export())
        self.imported(workspace, path)

        again = self.imported(workspace, path)
        Chatflow.objects.filter(pk=self.ID).update(name="Renamed here")
        after = self.imported(workspace, path)

        assert again.count("unchanged") == after.count("unchanged") == 2
        assert (Chatflow.objects.count(), ChatflowVersion.objects.count()) == (2, 2)

    def test_an_id_that_somebody_else_has_is_not_taken(
        self, workspace: Workspace, stranger: Workspace, tmp_path: Path
    ) -> None:
        path = write(tmp_path, "all.json", self.export())
        self.imported(stranger, path)

        self.imported(workspace, path)

        theirs = Chatflow.objects.get(pk=self.ID)
        own = Chatflow.objects.of(workspace.pk).get(name="Support")
        assert theirs.workspace_id == stranger.pk
        assert own.pk != theirs.pk

    def test_flows_of_one_name_stay_apart_wherever_they_come(
        self, workspace: Workspace, stranger: Workspace, tmp_path: Path
    ) -> None:
        other = {"id": self.OTHER_ID, "name": "Support", "flowData": graph_text(AGENT)}
        path = write(tmp_path, "all.json", self.export(AgentFlow=[other]))

        for owner in (stranger, workspace):
            self.imported(owner, path)
            again = self.imported(owner, path)

            kinds = Chatflow.objects.of(owner.pk).filter(name="Support").values_list("kind", flat=True)
            assert sorted(kinds) == ["AGENTFLOW", "CHATFLOW"]
            assert again.count("unchanged") == 3
        assert Chatflow.objects.get(pk=self.OTHER_ID).workspace_id == stranger.pk

    def test_of_two_flows_that_cannot_be_told_apart_none_overwrites_the_other(
        self, workspace: Workspace, tmp_path: Path
    ) -> None:
        twins = [{"name": "Agent", "flowData": graph_text(UNKNOWN)}, {"id": self.ID, "name": "X", "flowData": "{}"}]
        twins[1]["flowData"] = graph_text(AGENT)

        said = self.imported(workspace, write(tmp_path, "all.json", self.export(AgentFlow=twins)))

        assert said.count("left out   flow 'Agent': the file holds another of this name") == 2
        assert "left out   flow 'X': the file holds another of this id" in said
        assert Chatflow.objects.get().name == "Support"

    def test_names_hold_nothing_that_a_terminal_or_the_database_takes_amiss(
        self, workspace: Workspace, tmp_path: Path
    ) -> None:
        odd = {"name": "a\x1b[31m\0b\n", "category": "c\0", "flowData": graph_text(AGENT)}
        tool = {"name": "t\0\x07", "func": "return 1"}

        said = self.imported(workspace, write(tmp_path, "all.json", self.export(AgentFlow=[odd], Tool=[tool])))

        assert Chatflow.objects.of(workspace.pk).filter(name="a [31m b", category="c").exists()
        assert Tool.objects.get().name == "t"
        assert not set(said) & {"\x1b", "\0", "\x07"}

    def test_a_variable_that_cannot_be_kept_is_told_and_the_rest_is_in(
        self, workspace: Workspace, tmp_path: Path
    ) -> None:
        variables = [
            {"name": "n" * 101, "value": "x"},
            {"name": "nul", "value": "\0"},
            {"name": "number", "value": 0},
            {"name": "unset", "value": None},
        ]
        path = write(tmp_path, "all.json", self.export(Variable=variables))

        with pytest.raises(CommandError, match="2 could not be imported"):
            self.imported(workspace, path)

        assert variable_values(workspace.pk) == {"number": "0", "unset": ""}
        assert Chatflow.objects.count() == 2

    def test_settings_that_cannot_be_read_are_told(self, workspace: Workspace, tmp_path: Path) -> None:
        said = self.imported(workspace, write(tmp_path, "all.json", self.export()))

        assert "left out   chatbotConfig of flow 'Support': expected an object as JSON text" in said
        assert "apiConfig" not in said

    def test_a_flow_that_is_none_is_told_and_the_others_are_in(self, workspace: Workspace, tmp_path: Path) -> None:
        bad = [{"name": "Bad", "flowData": "{"}, {"name": "Worse"}]

        said = self.imported(workspace, write(tmp_path, "all.json", self.export(AgentFlow=bad)))

        assert "left out   flow 'Bad': flowData: not valid JSON" in said
        assert "left out   flow 'Worse'" in said
        assert Chatflow.objects.count() == 2
