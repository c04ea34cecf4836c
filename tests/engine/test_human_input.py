"""Human Input nodes: the run waits for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from engine.events import Event, RunFinished, RunPaused
from engine.providers.base import Message
from engine.providers.fake import FakeChatModel
from engine.runner import Resume
from tests.engine.drawing import Board, echoes, entry_of, error_of, gives, ran, tokens

PICTURE = """
    start -> work -> ask
    ask[proceed] -> yes
    ask[reject] -> no
"""


@pytest.fixture
def board(board: Board) -> Board:
    board.types["ask"] = "humanInputAgentflow"
    board.does["work"] = gives(output={"content": "w"}, messages=(Message("user", "Here is my draft."),))
    board.inputs["ask"] = {"humanInputDescriptionType": "fixed", "humanInputDescription": "Send it?"}
    return board


async def answered(board: Board, answer: Mapping[str, Any], picture: str = PICTURE, **more: Any) -> list[Event]:
    """The events after the answer to the first pause."""
    flow = board.agentflow(picture)
    paused = (await board.run(flow, "first question"))[-1]
    assert isinstance(paused, RunPaused)
    snapshot = orjson.loads(orjson.dumps(paused.snapshot))
    return await board.run(flow, "Proceed", resume=Resume(snapshot, answer), **more)


async def test_the_question_follows_what_was_said_last(board: Board) -> None:
    events = await board.run(PICTURE, is_streaming=True)

    assert tokens(events) == ["Here is my draft.\n\nSend it?"]
    assert ran(events) == ["start", "work", "ask"]
    entry = entry_of(events, "ask")
    assert entry["status"] == "STOPPED"
    assert entry["data"]["output"]["content"] == "Here is my draft.\n\nSend it?"
    assert entry["data"]["chatHistory"][-1] == {"role": "assistant", "content": "Here is my draft.\n\nSend it?"}


async def test_the_action_is_what_chat_clients_draw_buttons_from(board: Board) -> None:
    paused = (await board.run(PICTURE))[-1]

    assert isinstance(paused, RunPaused)
    action = dict(paused.action)
    assert len(action.pop("id")) == 36
    assert action == {
        "mapping": {"approve": "Proceed", "reject": "Reject"},
        "elements": [
            {"type": "agentflowv2-approve-button", "label": "Proceed"},
            {"type": "agentflowv2-reject-button", "label": "Reject"},
        ],
        "data": {
            "nodeId": "ask",
            "nodeLabel": "ask",
            "input": {
                "messages": [{"role": "user", "content": "Here is my draft."}],
                "humanInputEnableFeedback": True,
            },
        },
    }


async def test_a_question_that_was_left_empty_asks_whether_to_proceed(board: Board) -> None:
    board.inputs["ask"] = {"humanInputEnableFeedback": "false"}
    board.does["work"] = gives(output={"content": "w"})

    paused = (await board.run(PICTURE))[-1]

    assert isinstance(paused, RunPaused)
    assert paused.text == "Do you want to proceed?"
    assert paused.action["data"]["input"]["humanInputEnableFeedback"] is False


@pytest.mark.parametrize(
    ("kind", "branch", "fulfilled"), [("proceed", "yes", [True, False]), ("reject", "no", [False, True])]
)
async def test_an_answer_takes_its_branch(board: Board, kind: str, branch: str, fulfilled: list[bool]) -> None:
    events = await answered(board, {"type": kind, "startNodeId": "ask", "feedback": ""})

    assert ran(events) == ["ask", branch]
    output = entry_of(events, "ask")["data"]["output"]
    assert [row["type"] for row in output["conditions"]] == ["proceed", "reject"]
    assert [row["isFulfilled"] for row in output["conditions"]] == fulfilled
    assert output["content"] == kind


async def test_feedback_is_the_nodes_text_and_joins_the_conversation(board: Board) -> None:
    board.inputs["no"] = {"text": "{{ ask }} / {{ chat_history }}"}
    board.does["no"] = echoes

    events = await answered(board, {"type": "reject", "feedback": "Too long."})

    text = entry_of(events, "no")["data"]["output"]["content"]
    assert text == ("Too long. / Human: Here is my draft.\nAssistant: Here is my draft.\n\nSend it?\nHuman: Too long.")


async def test_the_question_of_a_run_stays_what_it_was_at_first(board: Board) -> None:
    board.inputs["yes"] = {"text": "{{ question }}"}
    board.does["yes"] = echoes

    events = await answered(board, {"type": "proceed"})

    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "first question"


@pytest.mark.parametrize("answer", [{}, {"type": "maybe"}, {"type": None}, {"type": ["proceed"]}])
async def test_an_answer_that_is_neither_is_refused(board: Board, answer: Mapping[str, Any]) -> None:
    events = await answered(board, answer)

    assert "must be 'proceed' or 'reject'" in error_of(events).error
    assert ran(events) == []


async def test_a_later_question_is_asked_anew(board: Board) -> None:
    board.types["again"] = "humanInputAgentflow"

    events = await answered(board, {"type": "proceed"}, "start -> ask\nask[proceed] -> again\nagain[proceed] -> end")

    assert ran(events) == ["ask", "again"]
    assert isinstance(events[-1], RunPaused)


async def test_a_loop_asks_again(board: Board) -> None:
    board.types["loop"] = "loopAgentflow"
    board.inputs["loop"] = {"loopBackToNode": "work-Work"}

    events = await answered(board, {"type": "reject", "feedback": "shorter"}, PICTURE.replace("no", "loop"))

    assert ran(events) == ["ask", "loop", "work", "ask"]
    assert isinstance(events[-1], RunPaused)


async def test_a_model_may_write_the_question(board: Board) -> None:
    board.components["fakeChat"] = model = FakeChatModel(["Shall I send the draft?"])
    board.inputs["ask"] = {
        "humanInputDescriptionType": "dynamic",
        "humanInputModel": "fakeChat",
        "humanInputModelConfig": {},
        "humanInputModelPrompt": "Ask nicely.",
    }

    events = await board.run(PICTURE, is_streaming=True)

    assert "".join(tokens(events)) == "Shall I send the draft?"
    assert [message.content for message in model.calls[0].messages] == ["Here is my draft.", "Ask nicely."]
    assert isinstance(events[-1], RunPaused)
    assert events[-1].text == "Shall I send the draft?"


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"humanInputDescriptionType": "dynamic"}, "Error in Human Input node: Model is required"),
        ({"humanInputDescriptionType": "sung"}, "must be 'fixed' or 'dynamic', not 'sung'"),
    ],
)
async def test_a_question_that_cannot_be_written_is_refused(board: Board, inputs: Mapping[str, Any], told: str) -> None:
    board.inputs["ask"] = inputs

    events = await board.run(PICTURE)

    assert told in error_of(events).error
