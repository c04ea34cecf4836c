"""A streamed answer: its frames, their order, and when there is none."""

from __future__ import annotations

import json
import re

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.calls import Caller, Listening, data_of, names, read_frames, text_of
from tests.predictions.conftest import NewFlow


def test_a_classic_stream_starts_speaks_and_ends(holder: Caller, chat: str) -> None:
    frames = holder.stream(chat, "Good morning to you", chatId="c")

    assert names(frames) == ["start", *["token"] * (len(frames) - 3), "metadata", "end"]
    assert len(frames) > 5
    assert text_of(frames) == "You said: Good morning to you"
    assert frames[-1].data == "[DONE]"


def test_the_metadata_of_a_stream_is_what_a_whole_answer_carries(holder: Caller, chat: str) -> None:
    metadata = data_of(holder.stream(chat, "Hi", chatId="c", overrideConfig={"sessionId": "s"}), "metadata")

    [_, answered] = holder.http.get(f"/chatmessage/{chat}").json()
    assert metadata == {
        "chatId": "c",
        "chatMessageId": answered["id"],
        "question": "Hi",
        "sessionId": "s",
        "memoryType": "Buffer Memory",
        "executionId": answered["executionId"],
    }


def test_an_agentflow_stream_reports_each_node(holder: Caller, agent: str) -> None:
    frames = holder.stream(agent, "Hi")

    assert [name for name in names(frames) if name != "token"] == [
        "agentFlowEvent",
        "nextAgentFlow", "nextAgentFlow", "agentFlowExecutedData",
        "nextAgentFlow", "usageMetadata", "nextAgentFlow", "agentFlowExecutedData",
        "agentFlowEvent", "metadata", "end",
    ]  # fmt: skip
    assert text_of(frames) == "You said: Hi"
    assert [frame.data for frame in frames if frame.event == "agentFlowEvent"] == ["INPROGRESS", "FINISHED"]
    states = [(f.data["nodeLabel"], f.data["status"]) for f in frames if f.event == "nextAgentFlow"]
    assert states == [
        ("Start", "INPROGRESS"), ("Start", "FINISHED"), ("Ask", "INPROGRESS"), ("Ask", "FINISHED"),
    ]  # fmt: skip
    assert data_of(frames, "usageMetadata") == {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17}


def test_the_trace_in_a_stream_grows_and_hides_credentials(holder: Caller, agent: str) -> None:
    frames = holder.stream(agent, "Hi")

    traces = [frame.data for frame in frames if frame.event == "agentFlowExecutedData"]
    assert [len(trace) for trace in traces] == [1, 2]
    assert traces[1][0] == traces[0][0]
    assert "CREDENTIAL" not in json.dumps(traces).upper()


def test_only_the_last_node_of_an_agentflow_is_heard(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    frames = holder.stream(new_flow(drawing.reply_flow(model.url), type="AGENTFLOW"), "Hi")

    assert text_of(frames) == "So: You said: Hi"


@pytest.mark.parametrize("streaming", [True, "true"])
@pytest.mark.parametrize("form", ["json", "multipart"])
def test_a_stream_is_asked_for_by_a_boolean_or_its_text(
    holder: Caller, chat: str, form: str, streaming: object
) -> None:
    address = f"/prediction/{chat}"
    if form == "json":
        response = holder.http.post(address, json={"question": "Hi", "streaming": streaming})
    else:
        fields = {"question": (None, "Hi"), "streaming": (None, "true"), "chatId": (None, "c")}
        response = holder.http.post(address, files=fields)

    assert response.status_code == 200, response.text
    assert text_of(read_frames(response.content)) == "You said: Hi"


@pytest.mark.parametrize("streaming", [False, "false", "", None])
def test_without_that_the_answer_is_whole(holder: Caller, chat: str, streaming: object) -> None:
    response = holder.predict(chat, "Hi", streaming=streaming)

    assert response.headers["Content-Type"] == "application/json"
    assert response.json()["text"] == "You said: Hi"


@pytest.mark.parametrize("streaming", ["yes", 7, {"a": 1}, [True]])
def test_a_streaming_that_is_neither_is_refused(holder: Caller, chat: str, streaming: object) -> None:
    response = holder.predict(chat, "Hi", streaming=streaming)

    assert response.status_code == 400
    assert response.json()["message"].startswith("streaming: expected true or false")


def test_a_flow_that_cannot_stream_answers_in_json(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    flow_id = new_flow(drawing.conversation(model.url, streaming=False))

    response = holder.predict(flow_id, "Hi", streaming=True)

    assert response.headers["Content-Type"] == "application/json"
    assert response.json()["text"] == "You said: Hi"
    assert holder.http.get(f"/chatflows-streaming/{flow_id}").json() == {"isStreaming": False}


def test_the_head_of_a_stream_keeps_proxies_from_holding_it_back(holder: Caller, chat: str) -> None:
    headers = holder.predict(chat, "Hi", streaming=True).headers

    assert headers["Content-Type"] == "text/event-stream"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Accel-Buffering"] == "no"
    assert "Content-Encoding" not in headers
    assert len(headers["X-Execution-Id"]) == 36
    assert len(headers["Request-Id"]) == 36


def test_every_frame_is_a_message_line_and_one_data_line(holder: Caller, chat: str) -> None:
    body = holder.predict(chat, "Hi", streaming=True).content

    frame = rb'id: [0-9a-f-]{36}:\S+\nmessage:\ndata:\{"event":"[A-Za-z]+","data":[^\n]*\}\n\n'
    assert re.fullmatch(rb"(%b)+" % frame, body)
    assert body.count(b"data:") == len(read_frames(body))


@pytest.mark.parametrize(
    "said", ["one\ntwo\r\nthree", "data:image/png;base64,AAAA data:", "\u2028\u2029\x85", "😀 ü", '"\\" {}', "a\0b"]
)
def test_whatever_a_model_says_arrives(holder: Caller, chat: str, model: ScriptedModel, said: str) -> None:
    model.script(Reply(said), Reply(said))

    frames, answer = holder.stream(chat, "Hi"), holder.answer(chat, "Hi")

    expected = said.replace("\0", "")  # the database's text cannot hold it
    assert text_of(frames).replace("\0", "") == expected
    assert answer["text"].replace("\0", "") == expected


def test_every_frame_has_an_id_of_its_own_within_one_run(holder: Caller, chat: str) -> None:
    response = holder.predict(chat, "One two three four five six", streaming=True)

    ids = [frame.id for frame in read_frames(response.content)]
    assert len(set(ids)) == len(ids)
    assert {frame_id.partition(":")[0] for frame_id in ids} == {response.headers["X-Execution-Id"]}


def test_tokens_come_while_the_model_still_speaks(holder: Caller, chat: str, model: ScriptedModel) -> None:
    model.script(Reply("one two three four", stall_after=2))

    with holder.http.stream("POST", f"/prediction/{chat}", json={"question": "Hi", "streaming": True}) as response:
        listening = Listening(response)
        first = [next(listening) for _ in range(3)]
        model.release()
        rest = list(listening)

    assert names(first) == ["start", "token", "token"]
    assert text_of([*first, *rest]) == "one two three four"


def test_a_model_that_thinks_is_seen_thinking(holder: Caller, agent: str, model: ScriptedModel) -> None:
    model.script(Reply("42", thinking="Six times seven."))

    frames = holder.stream(agent, "Hi")

    thoughts = [frame.data for frame in frames if frame.event == "thinking"]
    assert "".join(thoughts) == "Six times seven."
    assert thoughts[-1] == ""
    assert text_of(frames) == "42"


def test_who_does_not_read_the_trace_is_not_sent_it_and_loses_no_place(holder: Caller, agent: str) -> None:
    brief = {"Prefer": "return=minimal"}

    stream = holder.predict(agent, "Hello", headers=brief, streaming=True)
    frames = read_frames(stream.content)
    answer = holder.predict(agent, "Hello", headers=brief)

    assert "agentFlowExecutedData" not in {*names(frames), *answer.json()}
    assert answer.headers["Preference-Applied"] == "return=minimal"
    assert text_of(frames) == "You said: Hello"
    for index, frame in enumerate(frames[:-1]):
        rest = read_frames(holder.resume(agent, frame.id).content)
        assert [one.id for one in rest if one.event != "agentFlowExecutedData"] == [f.id for f in frames[index + 1 :]]
