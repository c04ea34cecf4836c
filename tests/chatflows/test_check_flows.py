"""`manage.py flows check`: what runs here, before anything is imported."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chatflows.demo import FOLDER
from chatflows.file_checks import Checked
from engine.checks import Problem
from engine.spec import Extra
from tests.factories import graph_text

FLOWS = Path(__file__).resolve().parents[1] / "flows"
TOOL = {"name": "send_mail", "description": "Sends mail.", "schema": '[{"property":"to"}]', "func": "return $to"}


def check(*paths: Path, **options: Any) -> tuple[str, int]:
    """What is printed, and the exit code."""
    out = StringIO()
    try:
        call_command("flows", "check", *map(str, paths), stdout=out, **options)
    except CommandError as exc:
        return out.getvalue(), exc.returncode
    return out.getvalue(), 0


def write(folder: Path, name: str, document: Any) -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def chain(**model: Any) -> str:
    """A conversation whose model is given."""
    placed = {"id": "chatOpenAI_0", "name": "chatOpenAI", "category": "Chat Models", "inputs": {}, **model}
    memory = {"id": "bufferMemory_0", "name": "bufferMemory", "category": "Memory", "inputs": {}}
    inputs = {"model": "{{chatOpenAI_0.data.instance}}", "memory": "{{bufferMemory_0.data.instance}}"}
    ending = {"id": "conversationChain_0", "name": "conversationChain", "category": "Chains", "inputs": inputs}
    edges = [
        {"source": source, "target": "conversationChain_0", "targetHandle": f"conversationChain_0-input-{anchor}-X"}
        for source, anchor in (("chatOpenAI_0", "model"), ("bufferMemory_0", "memory"))
    ]
    return graph_text(placed, memory, ending, edges=edges)


def test_flows_in_order_run_and_need_no_database() -> None:
    out, code = check(FOLDER)

    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["branches.json", "AGENTFLOW", "runs"],
        ["chat.json", "CHATFLOW", "runs"],
    ]


def test_a_credential_that_has_to_be_connected_is_told_and_does_not_fail() -> None:
    out, code = check(FLOWS / "Conversation Chain.json")

    assert (out.split("  ")[-1].strip(), code) == ("needs credential: openAIApi", 0)


@pytest.mark.parametrize("text", ['{"nodes":{},"edges":[]}', '{"nodes":[1],"edges":[]}', '{"nodes":null,"edges":null}'])
def test_a_file_whose_graph_is_none_is_told_and_the_others_are_checked(tmp_path: Path, text: str) -> None:
    out, code = check(write(tmp_path, "odd.json", text), FOLDER / "chat.json")

    assert "odd.json   -         broken: odd.json: flowData: nodes" in out
    assert "chat.json  CHATFLOW  runs" in out
    assert code == 3


def test_what_is_doubtful_is_told_and_does_not_fail(tmp_path: Path) -> None:
    name = "customFunctionJavascriptFunction"
    start = {"id": "startAgentflow_0", "name": "startAgentflow", "inputs": {"startInputType": "chatInput"}}
    function = {"id": "function_0", "name": "customFunctionAgentflow", "inputs": {name: "require('pg'); return 1"}}
    edges = [{"source": "startAgentflow_0", "target": "function_0"}]

    out, code = check(write(tmp_path, "function.json", graph_text(start, function, edges=edges)))

    assert (out.split("  ")[-1].strip(), code) == ("doubtful: pg", 0)


def test_missing_types_fail_with_all_of_their_names(tmp_path: Path) -> None:
    text = chain(name="chatMoonbeam", credential="c").replace('"bufferMemory"', '"lunarMemory"')

    out, code = check(write(tmp_path, "moon.json", text))

    assert (out.split("  ")[-1].strip(), code) == ("missing types: chatMoonbeam, lunarMemory", 3)


def test_what_has_to_be_installed_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Extra, "is_installed", False)

    out, code = check(write(tmp_path, "claude.json", chain(name="chatAnthropic", credential="c")))

    assert (out.split("  ")[-1].strip(), code) == ("needs extra: anthropic", 3)


def test_a_broken_flow_says_what_is_wrong_first(tmp_path: Path) -> None:
    broken = json.loads(chain(credential="c"))
    broken["edges"].append({"source": "gone_0", "target": "chatOpenAI_0"})

    out, code = check(write(tmp_path, "loose.json", broken))

    assert "broken: An edge from gone_0 to chatOpenAI_0 hangs loose" in out
    assert code == 3


def test_a_file_that_an_export_left_out_is_told_and_does_not_keep_a_flow_from_running() -> None:
    left_out = Problem("Txt File is missing", severity="warning", code="needs_value", subject="txtFile")

    checked = Checked("a.json", "a", "CHATFLOW", [left_out])

    assert (checked.state, checked.runs) == ("needs value: txtFile", True)


@pytest.mark.parametrize(
    ("document", "state", "code"),
    [
        (TOOL, "custom tool, runs in the sandbox", 0),
        ({**TOOL, "schema": "["}, "broken: x.json: the tool's schema: not valid JSON", 3),
        ({**TOOL, "schema": "{}"}, "broken: x.json: the tool's schema: expected JSON text of a list", 3),
        ({**TOOL, "func": None}, "broken: x.json: the tool's func: missing", 3),
        ("{", "broken: x.json: not valid JSON", 3),
        ({"a": 1}, "broken: x.json: expected an object with nodes and edges", 3),
    ],
)
def test_other_files_are_known_for_what_they_are(tmp_path: Path, document: Any, state: str, code: int) -> None:
    out, exit_code = check(write(tmp_path, "x.json", document))

    assert state in out
    assert exit_code == code


def test_the_export_of_a_workspace_is_a_line_for_each_flow(tmp_path: Path) -> None:
    flows = [{"name": "One", "flowData": chain(credential="c")}, {"name": "Two", "flowData": chain(name="gone")}]

    out, code = check(write(tmp_path, "all.json", {"ChatFlow": flows, "Tool": []}))

    one, two = out.splitlines()
    assert one.startswith("all.json: One")
    assert one.endswith("runs")
    assert two.startswith("all.json: Two")
    assert two.endswith("missing types: gone")
    assert code == 3


def test_programs_get_every_problem(tmp_path: Path) -> None:
    out, code = check(write(tmp_path, "moon.json", chain(name="gone")), FOLDER / "chat.json", json=True)

    moon, chat = json.loads(out)
    assert code == 3
    assert (moon["file"], moon["kind"], moon["runs"]) == ("moon.json", "CHATFLOW", False)
    assert [(p["code"], p["nodeId"], p["subject"]) for p in moon["problems"]] == [
        ("missing_type", "chatOpenAI_0", "gone")
    ]
    assert (chat["runs"], chat["state"], chat["problems"]) == (True, "runs", [])


def test_a_folder_without_flows_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"No \.json files there"):
        call_command("flows", "check", str(tmp_path))
