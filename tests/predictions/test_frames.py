"""What the frames of a stream say, in which order, read by each kind of parser that clients use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from predictions.flowise import FrameRenderer, frame, with_id

AWKWARD = ["a\nb", "data: x data:", "\u2028 and \u2029", "😀", "", 'quote " and \\ slash', "\x85"]


def rendered(events: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, Any]]:
    renderer = FrameRenderer(question="Hi", chat_id="chat", session_id="session")
    frames = [part for name, fields in events for part in renderer.render(name, fields)]
    return [(body["event"], body["data"]) for body in (json.loads(f.split(b"data:", 1)[1]) for f in frames)]


def settled(
    state: str = "COMPLETED", text: str = "Hello", error: str = "", **output: Any
) -> tuple[str, dict[str, Any]]:
    body = {"text": text, "chatId": "chat", "chatMessageId": "m", "sessionId": "session", "executionId": "e", **output}
    return "Settled", {"state": state, "output": body, "error": error, "error_code": ""}


def token(text: str) -> tuple[str, dict[str, Any]]:
    return "TokenEmitted", {"seq": 1, "node_id": "n", "text": text}


CLASSIC = ("RunStarted", {"seq": 1, "kind": "CHATFLOW"})
AGENTFLOW = ("RunStarted", {"seq": 1, "kind": "AGENTFLOW"})


@pytest.mark.parametrize("text", AWKWARD)
def test_a_token_survives_every_kind_of_parser(text: str) -> None:
    written = with_id(frame("token", text), "e:1-2.1").decode()

    strict = [line for line in written.split("\n") if line.startswith("data:")]
    lines = [line for line in written.splitlines() if line.startswith("data:")]
    removing = [line.replace("data:", "") for line in written.split("\n") if "data:" in line]

    assert [json.loads(line[5:])["data"] for line in strict] == [text]
    assert [json.loads(line[5:])["data"] for line in lines] == [text]
    assert [json.loads(line)["data"] for line in removing] == [text]


def test_a_frame_is_a_message_line_a_data_line_and_an_empty_line() -> None:
    assert frame("token", "x") == b'message:\ndata:{"event":"token","data":"x"}\n\n'


def test_a_classic_answer_starts_before_its_first_token_and_ends_after_its_metadata() -> None:
    events = rendered([CLASSIC, token("Hel"), token("lo"), settled()])

    assert [name for name, _ in events] == ["start", "token", "token", "metadata", "end"]
    assert events[-1] == ("end", "[DONE]")
    assert dict(events)["metadata"]["chatMessageId"] == "m"


def test_tools_of_a_classic_agent_come_after_the_answer_has_started() -> None:
    events = rendered([CLASSIC, ("ToolsUsed", {"tools": [{"tool": "calculator"}]}), token("4"), settled(text="4")])

    assert [name for name, _ in events] == ["start", "token", "usedTools", "metadata", "end"]


def test_what_an_agentflow_found_is_told_before_its_node_ends_and_once() -> None:
    found = [{"pageContent": "Sales rose.", "metadata": {}}]
    node = {"node_id": "agent_0", "label": "Look up"}
    entry = {"nodeId": "agent_0", "status": "FINISHED"}
    events = rendered(
        [
            AGENTFLOW,
            ("NodeStarted", {"seq": 2, **node}),
            token("They rose."),
            ("SourcesFound", {"seq": 4, "node_id": "agent_0", "documents": found}),
            ("NodeFinished", {"seq": 5, **node, "entry": entry}),
            settled(text="They rose.", agentFlowExecutedData=[entry], sourceDocuments=found),
        ]
    )

    assert [name for name, _ in events] == [
        "agentFlowEvent",
        "nextAgentFlow",
        "token",
        "sourceDocuments",
        "nextAgentFlow",
        "agentFlowExecutedData",
        "agentFlowEvent",
        "metadata",
        "end",
    ]


def test_an_answer_that_came_in_one_piece_is_one_token() -> None:
    events = rendered([CLASSIC, settled(text="All at once")])

    assert ("token", "All at once") in events


def test_a_log_that_lost_its_tail_is_completed_from_the_answer() -> None:
    events = rendered([CLASSIC, token("Hel"), settled(text="Hello")])

    assert [data for name, data in events if name == "token"] == ["Hel", "lo"]


def test_an_agentflow_reports_each_node_and_the_trace_so_far() -> None:
    node = {"node_id": "llm_0", "label": "Ask"}
    entry = {"nodeId": "llm_0", "nodeLabel": "Ask", "status": "FINISHED", "data": {}, "previousNodeIds": []}

    events = rendered(
        [AGENTFLOW, ("NodeStarted", node), token("Hi"), ("NodeFinished", {**node, "entry": entry}), settled(text="Hi")]
    )

    assert [name for name, _ in events] == [
        "agentFlowEvent", "nextAgentFlow", "token", "nextAgentFlow", "agentFlowExecutedData",
        "agentFlowEvent", "metadata", "end",
    ]  # fmt: skip
    assert events[4][1] == [entry]
    assert events[5][1] == "FINISHED"


def test_a_failed_agentflow_names_its_chat_before_the_error() -> None:
    events = rendered([AGENTFLOW, settled("FAILED", text="", error="Error in LLM node: no")])

    assert [name for name, _ in events] == ["agentFlowEvent", "agentFlowEvent", "metadata", "error", "end"]
    assert events[1][1] == "ERROR"
    assert events[3][1] == "Error in LLM node: no"


def test_a_stopped_classic_answer_aborts_and_ends() -> None:
    events = rendered([CLASSIC, token("Hel"), settled("CANCELLED", text="Hel", error="Flow execution was cancelled")])

    assert [name for name, _ in events] == ["start", "token", "metadata", "abort", "end"]


MULTIAGENT = ("RunStarted", {"seq": 1, "kind": "MULTIAGENT"})
STEPS = [{"agentName": "Boss", "messages": []}, {"agentName": "Coder", "messages": ["code"]}]


def reasoned(count: int, next_agent: str = "") -> tuple[str, dict[str, Any]]:
    return "AgentReasoned", {"seq": 2, "node_id": "n", "steps": STEPS[:count], "next_agent": next_agent}


def test_agents_show_every_step_before_the_answer_comes_whole() -> None:
    tools = [{"tool": "search", "toolInput": {}, "toolOutput": "x"}]

    events = rendered([MULTIAGENT, reasoned(1, "Coder"), reasoned(2), settled(agentReasoning=STEPS, usedTools=tools)])

    assert events[:-2] == [
        ("start", STEPS[:1]),
        ("agentReasoning", STEPS[:1]),
        ("nextAgent", "Coder"),
        ("agentReasoning", STEPS),
        ("token", "Hello"),
        ("usedTools", tools),
    ]
    assert [name for name, _ in events[-2:]] == ["metadata", "end"]


def test_steps_of_agents_whose_log_was_lost_are_shown_in_the_end() -> None:
    events = rendered([MULTIAGENT, settled(agentReasoning=STEPS)])

    assert events[:3] == [("start", STEPS), ("agentReasoning", STEPS), ("token", "Hello")]


def test_agents_that_wait_for_a_person_ask_and_offer_what_to_press() -> None:
    action = {"id": "a", "mapping": {"approve": "Yes", "reject": "No"}}

    events = rendered([MULTIAGENT, reasoned(1), settled("WAITING", "May I?", agentReasoning=STEPS[:1], action=action)])

    assert [name for name, _ in events] == ["start", "agentReasoning", "token", "action", "metadata", "end"]


def test_a_viewer_who_had_words_that_were_taken_back_gets_all_of_the_answer() -> None:
    renderer = FrameRenderer(question="Q", chat_id="c", session_id="s", said=len("one two"))
    events = [token("one two"), ("Retracted", {"node_id": "llm", "length": 7}), settled(text="one, two")]

    frames = b"".join(rendered for name, fields in events for rendered in renderer.render(name, fields))

    told = [json.loads(block.split(b"data:", 1)[1]) for block in frames.split(b"\n\n") if block]
    assert [one["data"] for one in told if one["event"] == "token"] == ["one two", "one, two"]
