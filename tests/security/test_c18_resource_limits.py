"""C18: nothing that one caller sends or follows takes the server from others."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller, Listening, names
from tests.predictions.conftest import NewFlow
from tests.predictions.test_uploads import PNG

MEGABYTE = 1024 * 1024
MOST_MB = 50  # of a body, the default
JSON = {"Content-Type": "application/json"}
ENDLESS = Reply("one two three", stall_after=1)
# Calls that anybody may send something large to: each reads its body in its own way.
TAKES_BODIES = ["/prediction/{chat}", "/chatflows", "/vector/upsert/{chat}", "/runs"]


@pytest.fixture
def public_chat(new_flow: NewFlow, model: ScriptedModel) -> str:
    return new_flow(drawing.conversation(model.url), isPublic=True)


def nested(levels: int) -> bytes:
    return b'{"question": "Hi", "form": ' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


def send(holder: Caller, path: str, content: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    return holder.http.post(path, content=content, headers={**JSON, **headers})


def is_well(holder: Caller, flow_id: str) -> bool:
    return holder.predict(flow_id, "Are you there?").status_code == 200


class TestBodies:
    @pytest.mark.parametrize("path", ["/prediction/{chat}", "/chatflows"])
    def test_one_that_is_too_large_is_refused_whole_and_nobody_else_notices(
        self, holder: Caller, chat: str, path: str
    ) -> None:
        content = b'{"question":"' + b"x" * (MOST_MB * MEGABYTE) + b'"}'

        refused = send(holder, path.format(chat=chat), content)

        assert (refused.status_code, refused.json()["code"]) == (413, "payload_too_large")
        assert is_well(holder, chat)

    @pytest.mark.parametrize("path", TAKES_BODIES)
    @pytest.mark.parametrize("levels", [200, 100_000])
    def test_one_that_is_nested_too_deeply_is_told_so(self, holder: Caller, chat: str, path: str, levels: int) -> None:
        refused = send(holder, path.format(chat=chat), nested(levels))

        assert 400 <= refused.status_code < 500, refused.text
        assert is_well(holder, chat)

    def test_one_that_is_packed_is_not_unpacked(self, holder: Caller, chat: str) -> None:
        bomb = gzip.compress(b'{"question":"' + b" " * (10 * MEGABYTE) + b'"}')

        refused = send(holder, f"/prediction/{chat}", bomb, **{"Content-Encoding": "gzip"})

        assert refused.status_code == 400

    @pytest.mark.parametrize("number", ["1" * 5000, "1e400", "-" + "9" * 400])
    def test_numbers_without_end_are_refused_or_kept(self, holder: Caller, chat: str, number: str) -> None:
        content = b'{"question": "Hi", "overrideConfig": {"temperature": ' + number.encode() + b"}}"

        answer = send(holder, f"/prediction/{chat}", content)

        assert answer.status_code < 500, answer.text


class TestMultipart:
    @pytest.mark.parametrize(
        "boundary", ["", "x" * 10_000, '"', "a;b=c", "é"], ids=["none", "long", "quote", "params", "not ASCII"]
    )
    def test_a_boundary_that_is_none_is_told_so(self, holder: Caller, chat: str, boundary: str) -> None:
        kind = f"multipart/form-data; boundary={boundary}".encode()

        refused = holder.http.post(f"/prediction/{chat}", content=b"--x\r\n\r\n", headers=[(b"Content-Type", kind)])

        assert refused.status_code == 400, refused.text
        assert is_well(holder, chat)

    def test_more_fields_than_a_call_has_are_refused(self, holder: Caller, chat: str) -> None:
        fields = {f"field{number}": (None, "x") for number in range(2000)}

        refused = holder.http.post(f"/prediction/{chat}", files={"question": (None, "Hi"), **fields})

        assert refused.status_code == 400, refused.text
        assert is_well(holder, chat)

    def test_more_files_than_a_call_takes_are_refused(self, holder: Caller, chat: str) -> None:
        files = [("files", (f"{number}.png", b"x", "image/png")) for number in range(10_000)]

        refused = holder.http.post(f"/prediction/{chat}", data={"question": "Hi"}, files=files)

        assert refused.status_code == 400, refused.text
        assert is_well(holder, chat)

    def test_what_lies_in_archives_stays_there(self, holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bomb.txt", b"0" * (64 * MEGABYTE))
        flow_id = new_flow(drawing.conversation(model.url))

        refused = holder.http.post(
            f"/prediction/{flow_id}",
            data={"question": "Hi"},
            files={"files": ("bomb.zip", packed.getvalue(), "application/zip")},
        )

        assert refused.status_code == 400
        assert "takes images only" in refused.json()["message"]


class TestUploads:
    def test_as_many_as_may_come_with_one_question(self, holder: Caller, chat: str) -> None:
        image = {"type": "file", "name": "a.png", "mime": "image/png", "data": PNG}

        taken = holder.predict(chat, "Hi", uploads=[image] * 20)
        refused = holder.predict(chat, "Hi", uploads=[image] * 21)

        assert taken.status_code == 200, taken.text
        assert refused.status_code == 400
        assert refused.json()["message"] == "uploads: at most 20, got 21"


class TestRuns:
    def test_loops_without_end_are_ended(self, holder: Caller, new_flow: NewFlow) -> None:
        loop = drawing.step(
            "loopAgentflow_0", "Loop", {"loopBackToNode": "directReplyAgentflow_0-Reply", "maxLoopCount": 10**9}
        )
        nodes = [drawing.start(), drawing.reply(0, "again"), loop]
        edges = drawing.path("startAgentflow_0", "directReplyAgentflow_0", "loopAgentflow_0")
        flow_id = new_flow(drawing.flow(nodes, edges), type="AGENTFLOW")

        ended = holder.predict(flow_id, "Hi")

        assert (ended.status_code, ended.json()["code"]) == (422, "run_limit")
        assert "a run may execute" in ended.json()["message"]

    def test_a_pattern_that_takes_for_ever_does_not(self, holder: Caller, new_flow: NewFlow) -> None:
        condition = {"type": "string", "value1": "{{ question }}", "operation": "regex", "value2": "(a+)+$"}
        check = drawing.step("conditionAgentflow_0", "Check", {"conditions": [condition]})
        nodes = [drawing.start(), check, drawing.reply(0, "matched"), drawing.reply(1, "did not")]
        edges = [
            *drawing.path("startAgentflow_0", "conditionAgentflow_0"),
            drawing.branch("conditionAgentflow_0", 0, "directReplyAgentflow_0"),
            drawing.branch("conditionAgentflow_0", 1, "directReplyAgentflow_1"),
        ]
        flow_id = new_flow(drawing.flow(nodes, edges), type="AGENTFLOW")

        answer = holder.predict(flow_id, "a" * 40 + "!")

        assert answer.status_code == 200, answer.text
        assert answer.json()["text"] == "did not"


class TestStreams:
    def test_a_stranger_follows_as_many_as_may_and_keys_go_on(
        self, platform: Platform, holder: Caller, visitor: Caller, public_chat: str, model: ScriptedModel
    ) -> None:
        model.script(ENDLESS)
        background = {"Prefer": "respond-async"}
        asked = visitor.http.post(f"/prediction/{public_chat}", json=question(), headers=background)
        path = f"/executions/{asked.json()['executionId']}/stream"
        with unlimited(platform) as strangers, contextlib.ExitStack() as streams:
            opened = [streams.enter_context(strangers.stream("GET", path)).status_code for _ in range(100)]
            refused = visitor.http.get(path)
            own = streams.enter_context(holder.http.stream("GET", path)).status_code
        model.release()
        after = visitor.http.get(path).status_code

        assert opened == [200] * 100
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
        assert (own, after) == (200, 200)

    def test_a_stranger_stops_no_stream_but_of_the_conversation_that_they_name(
        self, holder: Caller, visitor: Caller, public_chat: str, new_flow: NewFlow, model: ScriptedModel
    ) -> None:
        other = new_flow(drawing.conversation(model.url), isPublic=True)
        model.script(ENDLESS)
        with holder.http.stream("POST", f"/prediction/{public_chat}", json=question(chatId="mine")) as response:
            listening = Listening(response)
            listening.until("token")
            for flow_id, chat_id in (
                (public_chat, "another"),
                (other, "mine"),
                (public_chat, "%25"),
                (public_chat, "*"),
            ):
                visitor.http.put(f"/chatmessage/abort/{flow_id}/{chat_id}")
            model.release()
            rest = names(list(listening))

        assert "abort" not in rest
        assert rest[-1] == "end"


def unlimited(platform: Platform) -> httpx.Client:
    """A stranger who opens as many connections as they like."""
    return httpx.Client(base_url=f"{platform.url}/api/v1", timeout=60, limits=httpx.Limits(max_connections=None))


def question(**fields: Any) -> dict[str, Any]:
    return {"question": "Hi", "streaming": True, **fields}


def test_what_is_no_json_ends_no_worker(holder: Caller, chat: str) -> None:
    garbage = [b"{", b"\xff\xfe", b"[" * 100_000, b'{"question": "\\ud800"}', json.dumps([1]).encode(), b"\x00"]

    statuses = [send(holder, f"/prediction/{chat}", content).status_code for content in garbage]

    assert statuses == [400] * len(garbage)
    assert is_well(holder, chat)
