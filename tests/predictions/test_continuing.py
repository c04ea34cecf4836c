"""A run that goes on after its worker's death tells each thing once, whatever had been told before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.events import Event, NodeFinished, NodeStarted, RunStarted, ThinkingEmitted, TokenEmitted
from predictions.continuing import Continuation, Shown
from predictions.stream import EntryId
from predictions.watch import Entry


def log_of(*entries: Sequence[Any], attempt: int = 1) -> list[tuple[EntryId, Sequence[Any]]]:
    """Entries 1, 2, ... of an attempt."""
    return [(EntryId(attempt, number), entry) for number, entry in enumerate(entries, 1)]


def token(text: str, node_id: str = "llm") -> list[Any]:
    return ["TokenEmitted", {"node_id": node_id, "text": text}]


def started(node_id: str) -> list[Any]:
    return ["NodeStarted", {"node_id": node_id, "label": node_id}]


def finished(node_id: str) -> list[Any]:
    return ["NodeFinished", {"node_id": node_id, "label": node_id, "entry": entry(node_id)}]


def entry(node_id: str, content: str = "", status: str = "FINISHED") -> dict[str, Any]:
    return {"nodeId": node_id, "nodeLabel": node_id, "status": status, "data": {"output": {"content": content}}}


def ends(node_id: str) -> Event:
    return NodeFinished(0, node_id, node_id, entry(node_id), 1.0)


def told(going_on: Continuation, *events: Event) -> list[Any]:
    """What viewers hear of these events: the names, with text or length where there is one."""
    heard = []
    for name, fields in (*going_on.opening[1:], *(pair for event in events for pair in going_on.fresh(event))):
        get = fields.get if isinstance(fields, dict) else lambda key, of=fields: getattr(of, key, None)
        heard.append((name, get("text") or get("length") or get("node_id") or ""))
    return heard


RUN = [["RunStarted", {"kind": "AGENTFLOW"}], started("start"), finished("start"), started("llm")]


def test_the_same_words_go_on_where_they_broke_off() -> None:
    shown = Shown(log_of([*RUN, token("one "), token("two")]), first_attempt=1)
    going_on = Continuation(shown, [], [])

    heard = told(
        going_on,
        RunStarted(1, "AGENTFLOW"),
        NodeStarted(2, "start", "start"),
        ends("start"),
        NodeStarted(4, "llm", "llm"),
        TokenEmitted(5, "llm", "one"),
        TokenEmitted(6, "llm", " two th"),
        TokenEmitted(7, "llm", "ree"),
        ends("llm"),
    )

    assert going_on.opening[0] == ("Continued", {"after": "1-1", "trace": []})
    assert heard == [("TokenEmitted", " th"), ("TokenEmitted", "ree"), ("NodeFinished", "llm")]


def test_other_words_take_back_those_that_differ() -> None:
    going_on = Continuation(Shown(log_of([*RUN, token("one two three")]), first_attempt=1), [], [])

    heard = told(going_on, TokenEmitted(1, "llm", "one two"), TokenEmitted(2, "llm", " and so on"))

    assert heard == [("Retracted", len("three")), ("TokenEmitted", "and so on")]


def test_words_that_never_come_again_are_taken_back_at_the_nodes_end() -> None:
    going_on = Continuation(Shown(log_of([*RUN, token("one two")]), first_attempt=1), [], [])

    heard = told(going_on, TokenEmitted(1, "llm", "one"), ends("llm"))

    assert heard == [("Retracted", len(" two")), ("NodeFinished", "llm")]


def test_what_was_written_down_is_not_expected_again() -> None:
    shown = Shown(
        log_of([*RUN, token("done", "llm"), finished("llm"), started("next"), token("x", "next")]), first_attempt=1
    )
    going_on = Continuation(shown, [entry("start"), entry("llm", "done")], [])

    heard = told(going_on, RunStarted(1, "AGENTFLOW"), NodeStarted(2, "next", "next"), TokenEmitted(3, "next", "xy"))

    assert heard == [("TokenEmitted", "y")]


def test_what_was_written_down_and_not_heard_of_is_told_first() -> None:
    going_on = Continuation(
        Shown(log_of([*RUN, token("do")]), first_attempt=1), [entry("start"), entry("llm", "done")], []
    )

    heard = told(going_on, RunStarted(1, "AGENTFLOW"), NodeStarted(2, "next", "next"))

    assert heard == [("TokenEmitted", "ne"), ("NodeFinished", "llm"), ("NodeStarted", "next")]


def test_thoughts_are_not_thought_aloud_twice() -> None:
    shown = Shown(log_of([*RUN, ["ThinkingEmitted", {"node_id": "llm", "text": "hm"}]]), first_attempt=1)

    assert told(Continuation(shown, [], []), ThinkingEmitted(1, "llm", "hm, hm")) == []


def test_a_third_attempt_knows_what_the_first_two_have_shown() -> None:
    second = log_of([["Continued", {"after": "1-1", "trace": []}], token(" two")], [token(" three")], attempt=2)
    shown = Shown([*log_of([*RUN, token("one")]), *second], first_attempt=1)

    heard = told(Continuation(shown, [], []), TokenEmitted(1, "llm", "one two three four"))

    assert shown.last == EntryId(2, 2)
    assert heard == [("TokenEmitted", " four")]


def test_what_was_taken_back_is_told_again() -> None:
    second = log_of(
        [["Continued", {"after": "1-1", "trace": []}], ["Retracted", {"node_id": "llm", "length": 3}]], attempt=2
    )
    shown = Shown([*log_of([*RUN, token("one "), token("two")]), *second], first_attempt=1)

    assert told(Continuation(shown, [], []), TokenEmitted(1, "llm", "one two")) == [("TokenEmitted", "two")]


def test_with_a_hole_in_the_log_everything_is_told_behind_what_was_written_down() -> None:
    kept = [entry("start")]
    for entries in ([], log_of(RUN, [token("one")])[1:]):
        going_on = Continuation(Shown(entries, first_attempt=1), kept, [entry("ask")])

        assert going_on.opening == [("Continued", {"after": None, "trace": [entry("ask"), entry("start")]})]
        assert told(going_on, TokenEmitted(1, "llm", "one")) == [("TokenEmitted", "one")]


def test_what_begins_behind_an_unknown_log_is_only_for_those_who_have_seen_nothing() -> None:
    beginning = Entry(EntryId(2, 1), [["Continued", {"after": None, "trace": []}]])

    assert beginning.follows(EntryId(0, 0), is_new=True)
    assert not beginning.follows(EntryId(0, 0), is_new=False)
    assert not beginning.follows(EntryId(1, 7), is_new=True)
