"""A stream that was cut: what comes after the last frame that arrived, no more and no less."""

from __future__ import annotations

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform
from tests.predictions.calls import Caller, Frame, Listening, names, read_frames, text_of


@pytest.mark.parametrize("kind", ["chat", "agent"])
def test_after_any_frame_exactly_the_rest_comes(holder: Caller, request: pytest.FixtureRequest, kind: str) -> None:
    flow_id = request.getfixturevalue(kind)
    whole = holder.stream(flow_id, "One two three")

    for index, frame in enumerate(whole):
        response = holder.resume(flow_id, frame.id)

        assert response.headers["Content-Type"] == "text/event-stream"
        rest = read_frames(response.content) if response.content else []
        assert rest == whole[index + 1 :], f"after {frame}"


@pytest.mark.parametrize("received", [1, 2, 3])
def test_a_connection_that_was_lost_early_is_taken_up_again(
    holder: Caller, chat: str, model: ScriptedModel, received: int
) -> None:
    model.script(Reply("one two three four five", stall_after=3))
    body = {"question": "Hi", "streaming": True}
    with holder.http.stream("POST", f"/prediction/{chat}", json=body) as response:
        listening = Listening(response)
        before = [next(listening) for _ in range(received)]
    model.release()

    after = read_frames(holder.resume(chat, before[-1].id).content)

    frames = [*before, *after]
    assert text_of(frames) == "one two three four five"
    assert names(frames) == ["start", *["token"] * 5, "metadata", "end"]
    assert len({frame.id for frame in frames}) == len(frames)


def test_a_run_goes_on_when_its_reader_goes_away(holder: Caller, chat: str, model: ScriptedModel) -> None:
    model.script(Reply("one two three", stall_after=1))
    body = {"question": "Hi", "chatId": "c", "streaming": True}
    with holder.http.stream("POST", f"/prediction/{chat}", json=body) as response:
        first = next(Listening(response))
    model.release()

    list(read_frames(holder.resume(chat, first.id).content))

    listed = holder.http.get(f"/chatmessage/{chat}", params={"chatId": "c"}).json()
    assert [message["content"] for message in listed] == ["Hi", "one two three"]
    assert len(model.requests) == 1


def test_two_readers_see_the_same_stream(holder: Caller, chat: str, model: ScriptedModel) -> None:
    model.script(Reply("one two three", stall_after=1))
    body = {"question": "Hi", "streaming": True}
    with holder.http.stream("POST", f"/prediction/{chat}", json=body) as response:
        listening = Listening(response)
        frames = [next(listening)]
        execution_id = response.headers["X-Execution-Id"]
        with holder.http.stream("GET", f"/executions/{execution_id}/stream") as second:
            other = Listening(second)
            also = [next(other)]
            model.release()
            also += list(other)
        frames += list(listening)

    assert also == frames


def test_a_run_is_followed_by_its_own_address(holder: Caller, chat: str) -> None:
    whole = holder.predict(chat, "Hi", streaming=True)
    frames = read_frames(whole.content)
    address = f"/executions/{whole.headers['X-Execution-Id']}/stream"

    def rest(**given: dict[str, str]) -> list[Frame]:
        return read_frames(holder.http.get(address, **given).content)  # type: ignore[arg-type]  # headers or params

    assert rest() == frames
    assert rest(headers={"Last-Event-ID": frames[1].id}) == frames[2:]
    assert rest(params={"lastEventId": frames[1].id}) == frames[2:]


def test_an_answer_that_was_not_streamed_can_be_followed_too(holder: Caller, agent: str) -> None:
    answer = holder.answer(agent, "Hi")

    frames = read_frames(holder.http.get(f"/executions/{answer['executionId']}/stream").content)

    assert text_of(frames) == "You said: Hi"
    assert names(frames)[-1] == "end"


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ("nonsense", 404),
        ("00000000-0000-7000-8000-000000000000:1-1.1", 404),
        ("{run}:nonsense", 400),
        ("{run}:1-x.1", 400),
        ("{run}:", 200),
    ],
)
def test_an_id_of_no_frame_is_told_as_such(holder: Caller, chat: str, last: str, status: int) -> None:
    run = holder.answer(chat, "Hi")["executionId"]

    response = holder.resume(chat, last.format(run=run))

    assert response.status_code == status
    assert status == 200 or response.json()["message"]


def test_a_run_of_another_flow_is_not_found_here(holder: Caller, chat: str, agent: str) -> None:
    frame = holder.stream(agent, "Hi")[0]

    assert holder.resume(chat, frame.id).status_code == 404


def test_whoever_may_not_ask_may_not_listen(
    platform: Platform, visitor: Caller, neighbour: Caller, holder: Caller, chat: str
) -> None:
    frame = holder.stream(chat, "Hi")[0]
    address = f"/executions/{frame.id.partition(':')[0]}/stream"

    assert visitor.resume(chat, frame.id).status_code == visitor.http.get(address).status_code == 401
    assert neighbour.resume(chat, frame.id).status_code == neighbour.http.get(address).status_code == 404
