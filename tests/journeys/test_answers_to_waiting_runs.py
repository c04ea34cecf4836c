"""A run that waits for a person outlives the worker that asked, and the worker that was to go on."""

from __future__ import annotations

import os
import signal

import pytest

from tests.journeys.stage import WORDS, Stage, in_background, new_chat, read_until, text_of
from tests.model_wire import Reply
from tests.platform import Answer
from tests.predictions import drawing

ASKS = "humanInputAgentflow_0"
YES = {"type": "proceed"}

pytestmark = pytest.mark.usefixtures("steady")


@pytest.fixture
def letter(stage: Stage) -> Stage:
    """The stage with a flow that asks a person before it asks the model."""
    nodes = [drawing.start(), drawing.human(), drawing.llm_step(stage.model.url)]
    edges = [*drawing.path("startAgentflow_0", ASKS), drawing.branch(ASKS, 0, "llmAgentflow_0")]
    body = {"name": "Letter", "type": "AGENTFLOW", "flowData": drawing.flow(nodes, edges)}
    flow_id = stage.platform.call("POST", "/api/v1/chatflows", body).json()["id"]
    assert stage.platform.call("PUT", f"/api/v1/chatflows/{flow_id}", {"deployed": True}).status == 200
    return Stage(stage.platform, stage.model, flow_id)


def say_yes(stage: Stage, chat_id: str) -> Answer:
    return stage.ask("Proceed", chatId=chat_id, humanInput=YES)


def test_a_run_goes_on_in_a_worker_that_never_saw_it(letter: Stage) -> None:
    chat_id = new_chat()
    asked = letter.ask("Write", chatId=chat_id).json()

    earlier = letter.platform.kill("worker")
    letter.platform.wait_restarted("worker", earlier)
    answer = say_yes(letter, chat_id)

    assert asked["action"]["data"]["nodeId"] == ASKS
    assert answer.status == 200
    assert answer.json()["executionId"] == asked["executionId"]
    assert letter.messages(chat_id) == ["Write", "Send it?", "Proceed", answer.json()["text"]]


def test_a_worker_that_dies_while_a_run_goes_on_leaves_it_to_another_from_the_pause(letter: Stage) -> None:
    chat_id = new_chat()
    asked = letter.ask("Write", chatId=chat_id).json()
    letter.stall(after=0)
    waiting = in_background(lambda: say_yes(letter, chat_id))
    assert letter.model.stalled.wait(10)

    letter.platform.kill("worker")
    answer = waiting.result(30).json()

    assert answer["executionId"] == asked["executionId"]
    assert letter.execution(asked["executionId"])["attempt"] == 3
    ran = [entry["nodeLabel"] for entry in answer["agentFlowExecutedData"]]
    assert ran == ["Start", "Approval 0", "Ask"]
    assert letter.messages(chat_id) == ["Write", "Send it?", "Proceed", answer["text"]]
    assert len(letter.model.requests) == 2


def test_who_saw_a_part_before_the_worker_died_gets_the_rest_of_it(letter: Stage) -> None:
    chat_id = new_chat()
    asked = letter.ask("Write", chatId=chat_id).json()
    letter.model.script(Reply(WORDS, stall_after=3), Reply(WORDS))
    with letter.platform.stream(letter.flow_id, "Proceed", chatId=chat_id, humanInput=YES) as stream:
        frames = iter(stream)
        read = read_until(frames, "one two three")
        letter.platform.kill("worker")
        read += list(frames)

    run = letter.execution(asked["executionId"])

    assert text_of(read) == WORDS
    assert (run["state"], run["output"]["text"]) == ("FINISHED", WORDS)
    labels = [entry["nodeLabel"] for entry in run["output"]["agentFlowExecutedData"]]
    assert labels == ["Start", "Approval 0", "Ask"]
    assert say_yes(letter, chat_id).status == 409


def test_a_run_that_is_about_to_go_on_can_be_stopped(letter: Stage) -> None:
    chat_id = new_chat()
    asked = letter.ask("Write", chatId=chat_id).json()
    frozen = letter.platform.kill("worker", signal.SIGSTOP)
    try:
        with letter.platform.stream(letter.flow_id, "Proceed", chatId=chat_id, humanInput=YES) as stream:
            letter.stop(chat_id)
            frames = list(stream)
    finally:
        os.kill(frozen, signal.SIGCONT)

    assert [frame.event for frame in frames] == ["metadata", "abort", "end"]
    assert letter.execution(asked["executionId"])["state"] == "TERMINATED"
    assert say_yes(letter, chat_id).status == 409
