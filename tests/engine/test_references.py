"""What `{{ references }}` of AgentFlow v2 stand for."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context import NodeContext, World
from engine.providers.base import Message
from engine.spec import Inputs, NodeResult
from engine.templating import LONGEST_REMEMBERED, MISSING, Reference, agentflow_text, as_text, classic_text, resolve
from tests.engine.drawing import Board, Does, entry_of, gives, says
from tests.engine.node_world import MemoryHistory, NodeWorld

RESULT = gives(
    output={
        "content": "said",
        "count": 3,
        "ok": False,
        "rows": [{"name": "first"}, {"name": "second"}],
        "nothing": None,
        "odd key": "odd",
    }
)


async def resolved(board: Board, value: Any, **more: Any) -> Any:
    """What a node after `work_0` gets for its text."""
    board.inputs["end"] = {"text": value}
    events = await board.run("start -> work_0 -> end", **more)
    return entry_of(events, "end")["data"]["input"]["text"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ question }}", "hi"),
        ("{{question}}, {{   question   }}", "hi, hi"),
        ("{{ work_0 }}", "said"),
        (
            "{{ work_0.output }}!",
            '{"content":"said","count":3,"ok":false,"rows":[{"name":"first"},{"name":"second"}],'
            '"nothing":null,"odd key":"odd"}!',
        ),
        ("{{ work_0.output.content }}", "said"),
        ("{{ work_0.output.count }}", 3),
        ("{{ work_0.output.ok }}", False),
        ("It is {{ work_0.output.count }} and {{ work_0.output.ok }}", "It is 3 and false"),
        ("{{ work_0.output.rows }}", '[{"name":"first"},{"name":"second"}]'),
        ("{{ work_0.output.rows[1].name }}", "second"),
        ("{{ work_0.output.rows.0.name }}", "first"),
        ('{{ work_0.output["odd key"] }}', "odd"),
        ("{{ work_0.output.nothing }}", "null"),
        ("{{ work\\_0.output.content }}", "said"),
        ("{{ work_0.data.instance }}", "said"),
        ("{{ current_date_time }}", "2023-11-14T22:13:20.000+00:00"),
        ("{{ $form.city }}", "Bern"),
        ("{{ $vars.tone }}", "dry"),
        ("{{ $flow.chatflowId }} {{ $flow.chatId }} {{ $flow.sessionId }} {{ $flow.input }}", "f1 c1 s1 hi"),
        ("{{ $webhook.body.a }} {{ $webhook.headers.b }}", "1 2"),
        ("{{ $iteration }}", "0"),
        ("{{ $iteration.isFirst }}", "true"),
        ("{{ file_attachment }}", "<doc>"),
        ("{{ loop_count }}", "0"),
        ("no reference", "no reference"),
        ("{ single } {{}}", "{ single } {{}}"),
    ],
)
async def test_a_reference_becomes_its_value(board: Board, nodes: NodeWorld, text: str, expected: object) -> None:
    world = nodes.world
    board.world = World(world.http, world.history, world.credentials, world.clock, world.random, {"tone": "dry"})
    board.does["work_0"] = RESULT

    value = await resolved(
        board,
        text,
        form={"city": "Bern"},
        attachment="<doc>",
        webhook={"body": {"a": 1}, "headers": {"b": "2"}},
        iteration={"value": 0, "index": 0, "isFirst": True, "isLast": False},
    )

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "{{ gone_0 }}",
        "{{ work_0.output.gone }}",
        "{{ $vars.gone }}",
        "{{ work_0.gone }}",
        "{{ $iteration }}",
        "{{ end }}",
    ],
)
async def test_a_reference_to_nothing_stays_and_is_warned_of(board: Board, text: str) -> None:
    board.does["work_0"] = RESULT
    board.inputs["end"] = {"text": f"a {text} b {text}"}

    events = await board.run("start -> work_0 -> end")

    assert entry_of(events, "end")["data"]["input"]["text"] == f"a {text} b {text}"
    assert entry_of(events, "end")["data"]["warnings"] == [f"{text} stands for nothing here and was left as it is."]


async def test_state_is_the_flows_state_unless_a_node_has_that_name(board: Board) -> None:
    board.does |= {
        "work_0": gives(output={"content": "x"}, state={"name": "Alice"}),
        "state": gives(output={"name": "B"}),
    }
    board.inputs |= {"end": {"text": "{{ state.name }}"}, "late": {"text": "{{ state.output.name }} {{ state.name }}"}}

    events = await board.run("start -> work_0 -> end -> state -> late")

    assert entry_of(events, "end")["data"]["input"]["text"] == "Alice"
    assert entry_of(events, "late")["data"]["input"]["text"] == "B {{ state.name }}"


async def test_a_bare_id_of_a_node_that_only_fetched_something_is_what_it_fetched(board: Board) -> None:
    board.does["work_0"] = gives(output={"http": {"data": {"a": 1}, "status": 200}})

    assert await resolved(board, "{{ work_0 }}") == '{"a":1}'


async def test_arrays_and_objects_are_resolved_to_the_last_level(board: Board) -> None:
    board.inputs["end"] = {"rows": [{"key": "k", "value": ["{{ question }}", 1, {"deep": "<p>{{ question }}</p>"}]}]}

    events = await board.run("start -> end")

    assert entry_of(events, "end")["data"]["input"]["rows"] == [{"key": "k", "value": ["hi", 1, {"deep": "hi"}]}]


async def test_only_params_that_accept_variables_are_resolved(board: Board) -> None:
    board.inputs["end"] = {"plain": "{{ question }}", "text": "{{ question }}"}

    events = await board.run("start -> end")

    assert entry_of(events, "end")["data"]["input"] == {"plain": "{{ question }}", "text": "hi"}


async def test_the_exported_node_may_say_that_a_param_accepts_variables(board: Board) -> None:
    board.inputs["end"] = {"newer": "{{ question }}"}
    board.data["end"] = {"inputParams": [{"name": "newer", "type": "string", "acceptVariable": True}]}

    events = await board.run("start -> end")

    assert entry_of(events, "end")["data"]["input"] == {"newer": "hi"}


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        (
            '<p>Say <span class="variable" data-type="mention" data-id="question">{{ question }}</span> </p>'
            "<p>a_b *c* &amp; 1. d</p>",
            "Say hi\n\na_b *c* & 1. d",
        ),
        (
            "<h2>Title</h2><ul><li><p>one</p></li><li><p><strong>two</strong></p></li></ul>",
            "## Title\n\n* one\n* **two**",
        ),
        ("<p>{{ work_0.output.count }}</p>", 3),
        ("<role>{{ question }}</role>", "<role>hi</role>"),
        ("Text before <p>a tag</p>", "Text before <p>a tag</p>"),
    ],
)
async def test_what_the_rich_text_editor_wrote_becomes_markdown(board: Board, html: str, markdown: object) -> None:
    board.does["work_0"] = RESULT

    assert await resolved(board, html) == markdown


async def test_tags_in_a_value_are_left_alone(board: Board) -> None:
    assert await resolved(board, "<p>{{ question }}</p>", question="<p>a</p><b>") == "<p>a</p><b>"


async def test_history_is_that_of_the_session_and_of_the_run(board: Board, nodes: NodeWorld) -> None:
    nodes.history.sessions["s1"] = [Message("user", "before"), Message("assistant", "yes")]
    board.world = nodes.world
    board.does["work_0"] = gives(messages=(Message("user", "now"), Message("assistant", "ok")))

    text = await resolved(board, "{{ chat_history }} / {{ runtime_messages_length }}")

    assert text == "Human: before\nAssistant: yes\nHuman: now\nAssistant: ok / 1"


async def test_a_start_that_forgets_hides_the_past(board: Board, nodes: NodeWorld) -> None:
    nodes.history.sessions["s1"] = [Message("user", "before")]
    board.world = nodes.world
    board.does |= {"start": gives(output={"ephemeralMemory": True}), "work_0": sees_past(), "end": sees_past()}
    board.inputs["end"] = {"text": "{{ chat_history }}"}

    events = await board.run("start -> work_0 -> end")

    assert [entry_of(events, name)["data"]["output"]["content"] for name in ("work_0", "end")] == ["0", "0"]
    assert entry_of(events, "end")["data"]["input"]["text"] == ""


async def test_the_past_is_loaded_for_nodes_that_remember_and_for_no_others(board: Board) -> None:
    loads = 0

    class Counting(MemoryHistory):
        async def load(self, *, last: int | None = None, session_id: str | None = None) -> list[Message]:
            nonlocal loads
            loads += 1
            return [Message("user", "before")]

    world = board.world
    board.world = World(world.http, Counting(), world.credentials, world.clock, world.random)
    board.does["a"] = sees_past()

    without = await board.run("start -> a -> b")
    board.inputs |= {"a": {"stepEnableMemory": True}, "b": {"stepEnableMemory": True}}
    with_ = await board.run("start -> a -> b")

    assert [entry_of(events, "a")["data"]["output"]["content"] for events in (without, with_)] == ["0", "1"]
    assert loads == 1


def sees_past() -> Does:
    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        return NodeResult(output={"content": str(len(ctx.past))})

    return run


async def test_a_form_that_a_node_put_out_is_the_form_from_then_on(board: Board) -> None:
    board.does["start"] = gives(output={"form": {"city": "Bern, checked"}})
    board.does["work_0"] = says("x")

    assert await resolved(board, "{{ $form.city }}", form={"city": "bern"}) == "Bern, checked"


async def test_a_node_may_resolve_values_of_its_own(board: Board) -> None:
    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        return NodeResult(output={"content": ctx.resolve({"a": ["{{ question }}"]})["a"][0]})

    board.does["work_0"] = run

    assert await resolved(board, "{{ work_0 }}") == "hi"


class Echo:
    """A scope in which every reference stands for the same text."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def look_up(self, reference: Reference) -> Any:
        return self._value

    def whole(self, reference: Reference, value: Any) -> Any:
        return value


pieces = st.text(alphabet="{} $&\\_.abc\"'<>p/\n", max_size=12)
roots = st.sampled_from(["question", "work_0.output.a", "$vars.x", "work_0.data.instance"])


@given(st.lists(st.tuples(pieces, roots), max_size=4), st.text(alphabet='{} $&questionwork_0.\\"', max_size=30))
def test_no_value_is_ever_searched_for_references(parts: list[tuple[str, str]], value: str) -> None:
    template = "".join(f"{piece.replace('{', '').replace('}', '')}{{{{ {root} }}}}" for piece, root in parts)
    for compiled in (
        agentflow_text(template),
        classic_text(template, accepts_variables=True, is_json=False),
    ):
        marked = resolve(compiled, Echo("\x00"))

        assert resolve(compiled, Echo(value)) == marked.replace("\x00", value)


@given(st.text(alphabet="{} $.question", max_size=40))
def test_a_template_without_values_gives_itself_back(template: str) -> None:
    assert resolve(agentflow_text(template), Echo(MISSING)) == template


@pytest.mark.parametrize(
    "text", ["{{" + " " * 3000, "{{ {{" * 5000, "{{ a[" * 5000, '{"a": "{{ $vars.x }}"}, ' * 10_000]
)
def test_a_template_is_read_at_once_whatever_it_repeats(text: str) -> None:
    began = time.process_time()

    agentflow_text(text)
    classic_text(text, accepts_variables=True, is_json=True)

    assert time.process_time() - began < 1


def test_tags_in_tags_without_end_are_the_authors_own_text() -> None:
    text = "<p>" + "<div>" * 1500

    assert agentflow_text(text) == text


@pytest.mark.parametrize("place", ["[" + "9" * 5000 + "]", "." + "9" * 5000])
async def test_a_place_that_no_list_has_is_a_reference_to_nothing(board: Board, place: str) -> None:
    board.does["work_0"] = RESULT
    text = "{{ work_0.output.rows" + place + " }}"

    assert await resolved(board, text) == text


@pytest.mark.parametrize(
    ("value", "text"), [({"a": 2**70}, '{"a":1180591620717411303424}'), (["\ud800"], '["\\ud800"]')]
)
def test_what_json_can_hold_has_a_text(value: Any, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "{{ $vars.x }}"}', '{"a": "\\"q\\""}'),
        ('{"a": "\\"{{ $vars.x }}"}', '{"a": "\\"\\"q\\""}'),
        ('{"\\\\": {{ $vars.x }}}', '{"\\\\": "q"}'),
    ],
)
def test_a_value_between_quotes_of_json_text_is_escaped(text: str, value: str) -> None:
    compiled = classic_text(text, accepts_variables=True, is_json=True)

    assert resolve(compiled, Quoted()) == value


class Quoted:
    """Every reference is the text `"q"`."""

    def look_up(self, reference: Reference) -> Any:
        return '"q"'

    def whole(self, reference: Reference, value: Any) -> Any:
        return value


def test_long_texts_are_not_remembered() -> None:
    short, long = "{{ question }}", "x" * LONGEST_REMEMBERED + "{{ question }}"

    assert agentflow_text(short) is agentflow_text(short)
    assert agentflow_text(long) == agentflow_text(long)
    assert agentflow_text(long) is not agentflow_text(long)
