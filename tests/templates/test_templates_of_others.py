"""Flows and tools that other people published run here, from their file to the last frame of a stream.

Each is saved, deployed and asked over HTTP on the platform as it is started, with a scripted model, scripted vendors,
and what exports leave out filled in. What nobody can have in a test stands in the tables under `fails`.
"""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chatflows.flowdata import kind_of, read_graph
from tests.model_wire import Reply
from tests.templates.case import FLOWS, Case, Turn
from tests.templates.cases_agentflows import CASES as AGENTFLOWS
from tests.templates.cases_agents import CASES as AGENTS
from tests.templates.cases_classic import CASES as CLASSIC
from tests.templates.cases_tools import TOOLS, ToolCase, agent
from tests.templates.stage import Stage, check_order, new_chat

CASES = [*CLASSIC, *AGENTFLOWS, *AGENTS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_a_published_flow_runs(stage: Stage, case: Case) -> None:
    flow_id, chat_id = stage.deploy(case), new_chat()
    kind = kind_of(read_graph(case.flow_data(stage.places, {})))
    conversation: list[tuple[str, str]] = []
    asked: dict[str, Any] = {}
    calls = 0

    for turn in case.turns:
        told = stage.say(flow_id, turn, chat_id, **asked)
        conversation += [("userMessage", turn.said or turn.question), ("apiMessage", turn.kept or turn.answer)]
        asked = {"action": told.body["action"]} if kind == "MULTIAGENT" and "action" in told.body else {}
        calls += len(turn.replies)

        assert told.answer == turn.answer
        assert told.visited == turn.visited.split()
        assert told.besides == turn.frames
        assert told.messages == conversation
        assert told.error.startswith(turn.fails)
        assert bool(told.error) == bool(turn.fails)
        assert stage.vendors.paths() == list(turn.calls)
        assert turn.heard in stage.heard
        assert len(stage.model.requests) == calls
        check_order(kind, told)


@pytest.mark.parametrize("case", TOOLS, ids=lambda case: case.file)
def test_a_published_tool_runs_in_the_sandbox(stage: Stage, case: ToolCase) -> None:
    name = case.template["name"]
    flow_id = stage.save(case.file, agent(stage.model.url, stage.keep(case.tool)))
    turn = Turn("Do it", [Reply(tool_calls=[(name, case.given)]), "Done."], "Done.", "", "")

    told = stage.say(flow_id, turn, new_chat())
    [used] = told.of("usedTools")

    assert told.answer == "Done."
    assert (used["tool"], used.get("error")) == (name, None)
    assert used["toolOutput"].startswith(case.output)
    assert tuple(stage.vendors.paths()) == case.calls
    assert case.sent in str(stage.vendors.calls[0].body)
    check_order("CHATFLOW", told)


def test_every_published_file_is_in_a_table() -> None:
    flows, tools = ({path.stem for path in folder.glob("*.json")} for folder in (FLOWS, FLOWS / "tools"))

    assert {case.file for case in CASES} == flows
    assert {case.file for case in TOOLS} == tools


def test_a_check_finds_that_published_files_lack_only_what_is_to_be_filled_in() -> None:
    out = StringIO()

    with pytest.raises(CommandError, match="1 of 43 do not run here"):  # one has no URL, not even where it was drawn
        call_command("flows", "check", str(FLOWS), str(FLOWS / "tools"), stdout=out)

    found = dict(re.split(r" {2,}(?:\w+) +", row, maxsplit=1) for row in out.getvalue().splitlines())
    assert found["Interacting With API.json"] == "needs credential: anthropicApi, openAIApi; needs value: url"
    assert "gmailOAuth2" in found["Human In The Loop.json"]
    assert found["Simple RAG.json"] == "needs credential: openAIApi; needs value: documentStore"
    assert found["Text to SQL.json"].startswith("needs credential: openAIApi; needs value: ")
    assert list(found.values()).count("custom tool, runs in the sandbox") == len(TOOLS)
    lacks = [state for state in found.values() if not state.startswith(("needs", "custom tool"))]
    assert lacks == []
    assert len(found) == len(CASES) + len(TOOLS)
