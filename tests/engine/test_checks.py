"""What is wrong with a flow is told before it runs: all of it, with its place and its remedy."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.checks import Problem, check_flow
from engine.errors import LeftOut, NodeInputError
from engine.registry import Registry, load_registry
from engine.spec import Extra, Inputs, NodeSpec, NodeType, Param
from tests.engine.drawing import echoes

TEMPLATES = Path(__file__).resolve().parents[1] / "flows"
Node = dict[str, Any]


def refuse_odd(inputs: Inputs) -> None:
    if inputs.get("text") == "odd":
        raise NodeInputError("odd texts cannot be had here")
    if inputs.get("text") == "elsewhere":
        raise LeftOut("the text stayed where it was", name="text")


BOX = NodeSpec(
    "boxAgentflow",
    "Box",
    1,
    "Agent Flows",
    params=(
        Param("text", "string", "Text", optional=True, variables=True),
        Param("needed", "string", "Needed"),
        Param("colour", "options", "Colour", default="red", options=("red", "blue")),
        Param("rows", "array", "Rows", optional=True, fields=(Param("kind", "options", "Kind", options=("a",)),)),
        Param("tags", "multiOptions", "Tags", optional=True, options=("x", "y")),
        Param("boxUpdateState", "array", "Update Flow State", optional=True, variables=True),
    ),
)
MODEL = NodeSpec(
    "chatThing",
    "Thing",
    1,
    "Chat Models",
    params=(
        Param("credential", "credential", "Connect Credential"),
        Param("basepath", "string", "Base URL", default="https://thing.example", optional=True),
        Param("prefix", "string", "Prefix", optional=True, variables=True),
    ),
    credentials=("thingApi",),
    role="component",
)
CHAIN = NodeSpec("thingChain", "Chain", 1, "Chains", params=(Param("model", "BaseChatModel", "Model"),), role="ending")
VAULT = NodeSpec("vault", "Vault", 1, "Tools", role="component", extra=Extra("vaults", "no_such_module_here"))
LOADER = NodeSpec(
    "loader", "Loader", 1, "Document Loaders", params=(Param("picture", "file", "Picture"),), role="component"
)
V2 = ("startAgentflow", "conditionAgentflow", "humanInputAgentflow", "loopAgentflow", "iterationAgentflow")
REGISTRY = Registry(
    [
        NodeType(BOX, echoes, check=refuse_odd),
        *(NodeType(spec, echoes) for spec in (MODEL, CHAIN, VAULT, LOADER)),
        *(NodeType(NodeSpec(name, name, 1, "Agent Flows"), echoes) for name in V2),
    ]
)


def node(node_id: str, parent: str = "", data: dict[str, Any] | None = None, **inputs: Any) -> Node:
    """Its type is the id without its number."""
    placed = {"parentNode": parent} if parent else {}
    name = node_id.rpartition("_")[0]
    return {
        "id": node_id,
        **placed,
        "data": {"id": node_id, "label": node_id, "name": name, "inputs": inputs, **(data or {})},
    }


def box(node_id: str = "boxAgentflow_0", parent: str = "", **inputs: Any) -> Node:
    return node(node_id, parent, **{"needed": "here", **inputs})


def start(**inputs: Any) -> Node:
    return node("startAgentflow_0", **{"startInputType": "chatInput", **inputs})


def edge(source: str, target: str, way: str = "x", anchor: str = "") -> dict[str, str]:
    handle = f"{target}-input-{anchor}-Any" if anchor else target
    return {"source": source, "target": target, "sourceHandle": f"{source}-output-{way}", "targetHandle": handle}


def check(*nodes: Node, edges: list[dict[str, str]] | None = None, **more: Any) -> list[Problem]:
    """Without `edges` every node follows the one before it."""
    ids = [placed["id"] for placed in nodes]
    drawn = [edge(*pair) for pair in pairwise(ids)] if edges is None else edges
    return check_flow(orjson.dumps({"nodes": nodes, "edges": drawn}), REGISTRY, **more)


def only(problems: list[Problem]) -> Problem:
    assert len(problems) == 1, problems
    return problems[0]


@pytest.mark.parametrize("name", ["Conversation Chain", "LLM Chain", "Prompt Chaining", "ReAct Agent", "Translator"])
def test_published_templates_lack_nothing_but_their_credentials(name: str) -> None:
    problems = check_flow((TEMPLATES / f"{name}.json").read_bytes(), load_registry())

    assert {(problem.code, problem.field.rpartition(".")[2]) for problem in problems} == {
        ("needs_credential", "credential")
    }


def test_a_module_that_the_sandbox_lacks_is_told_with_its_node_and_a_way_out() -> None:
    problems = check_flow((TEMPLATES / "SQL Agent.json").read_bytes(), load_registry())

    told = [problem for problem in problems if problem.subject == "typeorm"]
    assert {(problem.severity, problem.code) for problem in told} == {("warning", "doubtful")}
    assert all(f"({problem.node_id})" in problem.message for problem in told)
    assert all("requires 'typeorm'" in problem.message and "axios" in problem.fix for problem in told)


def test_functions_of_a_nodes_tools_are_looked_at_too_and_modules_that_are_there_are_not_told() -> None:
    code = "const fetch = require('node-fetch'), u = require('node:url'); /* */ require( `node:fs` ); required('x')"
    config = {"customToolFunc": code, "customToolName": "t", "customToolDesc": "d"}
    rows = [{"agentSelectedTool": "customTool", "agentSelectedToolConfig": config}]
    agent = node("agentAgentflow_0", agentTools=rows)

    drawn = orjson.dumps({"nodes": [start(), agent], "edges": [edge("startAgentflow_0", "agentAgentflow_0")]})
    problem = only([problem for problem in check_flow(drawn, load_registry()) if problem.code == "doubtful"])

    assert (problem.subject, problem.field) == ("node:fs", "agentTools[0].agentSelectedTool.customToolFunc")


def test_a_flow_in_order_has_no_problems() -> None:
    assert check(start(), box()) == []


def test_an_empty_canvas_is_no_mistake_of_a_node() -> None:
    assert only(check()).code == "broken"


@pytest.mark.parametrize("text", ["{", "[]", '{"nodes": 1}', '{"nodes": [{}]}', '{"nodes": [{"id": "a", "data": {}}]}'])
def test_a_text_that_is_no_flow_is_one_problem(text: str) -> None:
    assert only(check_flow(text, REGISTRY)).code == "broken"


@pytest.mark.parametrize("junk", [None, 1, True, "{", [1], [[1]], {"a": [{}]}])
def test_nothing_in_a_file_breaks_the_checks(junk: Any) -> None:
    odd = {**box(text=junk, rows=junk, tags=junk, colour=junk, model=junk, modelConfig=junk), "type": junk}
    odd["data"] |= {"inputParams": junk, "credential": junk, "policy": junk, "version": junk}
    form = start(startInputType="formInput", formInputTypes=junk)
    loop = node("loopAgentflow_0", loopBackToNode=junk)
    anchors = {"inputAnchors": [{"name": "model", "list": True}]}
    wired = [edge("chatThing_0", "thingChain_0", anchor="model")]

    agentflow = check(form, odd, loop, api_config={"overrideConfig": {"nodes": {"Box": junk}}})
    classic = check(node("chatThing_0"), node("thingChain_0", data=anchors, model=junk), edges=wired, api_config={})

    assert all(isinstance(problem, Problem) for problem in (*agentflow, *classic))
    assert any(problem.node_id == "startAgentflow_0" for problem in agentflow)


def test_every_unknown_type_is_told_and_the_rest_is_checked_too() -> None:
    problems = check(start(), node("goneAgentflow_0"), node("lostAgentflow_0"), node("boxAgentflow_0"))

    assert [(p.code, p.node_id, p.subject, p.field) for p in problems] == [
        ("missing_type", "goneAgentflow_0", "goneAgentflow", ""),
        ("missing_type", "lostAgentflow_0", "lostAgentflow", ""),
        ("needs_value", "boxAgentflow_0", "needed", "needed"),
    ]
    assert all(problem.fix and problem.severity == "error" for problem in problems)


def test_an_unknown_type_that_no_answer_needs_is_a_warning() -> None:
    model = node("chatThing_0", data={"credential": "c"})
    wired = [edge("chatThing_0", "thingChain_0", anchor="model")]

    problems = check(model, node("thingChain_0"), node("gone_0"), edges=wired)

    assert (only(problems).severity, only(problems).subject) == ("warning", "gone")


def test_a_type_that_would_run_a_models_python_says_why_it_is_not_here() -> None:
    problem = only(check(node("airtableAgent_0")))

    assert problem.code == "missing_type"
    assert "runs Python that a model writes" in problem.message


def test_components_are_checked_wherever_a_node_configures_them() -> None:
    rows = [{"tool": "gone", "toolConfig": {}}, {"tool": "vault", "toolConfig": {}}]

    problems = check(start(), box(rows=rows, model="chatThing", modelConfig={}))

    assert [(p.code, p.field, p.subject) for p in problems] == [
        ("missing_type", "rows[0].tool", "gone"),
        ("needs_extra", "rows[1].tool", "vaults"),
        ("needs_credential", "model.credential", "thingApi"),
    ]


def test_a_missing_extra_says_how_to_install_it() -> None:
    problem = only(check(start(), box(tool="vault", toolConfig={})))

    assert (problem.severity, problem.fix) == ("warning", "pip install 'forjinn[vaults]'")


@pytest.mark.parametrize(
    "config", [{"FLOWISE_CREDENTIAL_ID": "c"}, {"credential": "c"}, {"basepath": "http://127.0.0.1:1/v1"}]
)
def test_a_credential_or_another_server_is_enough(config: dict[str, str]) -> None:
    assert check(start(), box(model="chatThing", modelConfig=config)) == []


def test_an_address_that_is_the_vendors_own_does_not_replace_a_credential() -> None:
    problem = only(check(start(), box(model="chatThing", modelConfig={"basepath": "https://thing.example"})))

    assert (problem.code, problem.severity) == ("needs_credential", "warning")
    assert "connect one of kind 'thingApi'" in problem.fix


def test_what_the_exported_node_hides_is_not_missing() -> None:
    hidden = {"inputParams": [{"name": "needed", "show": {"colour": "blue"}}]}

    assert check(start(), node("boxAgentflow_0", data=hidden, colour="red"), edges=None) == []
    assert only(check(start(), node("boxAgentflow_0", data=hidden, colour="blue"))).field == "needed"


def test_what_a_type_knows_to_be_left_out_by_exports_is_only_told() -> None:
    problem = only(check(start(), box(text="elsewhere")))

    assert (problem.code, problem.severity, problem.subject) == ("needs_value", "warning", "text")


def test_a_file_is_left_out_by_every_export_and_only_told() -> None:
    problem = only(check(start(), box(loader="loader", loaderConfig={})))

    assert (problem.code, problem.severity, problem.subject) == ("needs_value", "warning", "picture")
    assert check(start(), box(loader="loader", loaderConfig={"picture": "FILE-STORAGE::x.png"})) == []


def test_an_anchor_without_a_connection_is_missing() -> None:
    problem = only(check(node("thingChain_0")))

    assert (problem.field, problem.fix) == ("model", "connect a node to its 'model'")


def test_values_outside_the_list_are_doubted_on_every_level() -> None:
    problems = check(start(), box(colour="green", rows=[{"kind": "a"}, {"kind": "b"}], tags='["x", "z"]'))

    assert [(p.field, p.severity) for p in problems] == [
        ("colour", "warning"),
        ("rows[1].kind", "warning"),
        ("tags", "warning"),
    ]
    assert problems[0].fix == "choose one of red, blue"
    assert check(start(), box(colour="{{ question }}", tags=["x"])) == []


def test_a_types_own_refusal_is_told() -> None:
    assert "odd texts cannot be had here" in only(check(start(), box(text="odd"))).message


@pytest.mark.parametrize("config", ['{"command": "npx", "args": []}', {"command": "npx"}])
def test_a_program_on_the_server_is_refused(config: Any) -> None:
    problem = only(check(start(), box(tool="vault", toolConfig={"mcpServerConfig": config}))[:1])

    assert (problem.severity, problem.field) == ("error", "tool.mcpServerConfig")
    assert check(start(), box(mcpServerConfig='{"url": "https://example.com"}')) == []


def test_notes_are_not_looked_at() -> None:
    note = {"id": "stickyNote_0", "type": "stickyNote", "data": {"inputs": {"note": "{{ nowhere.output }}"}}}

    assert check(start(), box(), note, edges=[edge("startAgentflow_0", "boxAgentflow_0")]) == []


class TestWiring:
    def test_each_second_start_is_named(self) -> None:
        problems = check(start(), box("boxAgentflow_0"), box("boxAgentflow_1"), edges=[])

        assert [p.node_id for p in problems] == ["boxAgentflow_0", "boxAgentflow_1"]
        assert all(p.severity == "error" and p.fix == "connect it or delete it" for p in problems)

    def test_a_loose_edge_names_the_node_that_is_gone(self) -> None:
        problem = only(check(start(), edges=[edge("startAgentflow_0", "gone_0")]))

        assert "there is no node 'gone_0'" in problem.message

    def test_a_circle_is_told_with_the_remedy(self) -> None:
        circle = [("startAgentflow_0", "boxAgentflow_0"), ("boxAgentflow_0", "boxAgentflow_1")]
        back = ("boxAgentflow_1", "boxAgentflow_0")

        problem = only(check(start(), box(), box("boxAgentflow_1"), edges=[edge(*pair) for pair in (*circle, back)]))

        assert "use a Loop node to go back" in problem.message

    @pytest.mark.parametrize(("way", "count"), [("0", 0), ("1", 0), ("2", 1), ("conditionAgentflow", 1), ("error", 0)])
    def test_a_way_out_must_stand_for_something(self, way: str, count: int) -> None:
        decision = node("conditionAgentflow_0", conditions=[{"type": "string"}])
        edges = [edge("startAgentflow_0", "conditionAgentflow_0"), edge("conditionAgentflow_0", "boxAgentflow_0", way)]

        assert len(check(start(), decision, box(), edges=edges)) == count

    def test_a_human_has_two_ways_out(self) -> None:
        edges = [
            edge("startAgentflow_0", "humanInputAgentflow_0"),
            edge("humanInputAgentflow_0", "boxAgentflow_0", "2"),
        ]

        assert "has 2 ways out" in only(check(start(), node("humanInputAgentflow_0"), box(), edges=edges)).message

    @pytest.mark.parametrize(
        ("target", "told"),
        [
            ("boxAgentflow_0-Box", ""),
            ("boxAgentflow_0", ""),
            ("boxAgentflow_7-Box", "which is not in the flow"),
            ("boxAgentflow_1-Inside", "across the border of an iteration"),
        ],
    )
    def test_a_loop_goes_back_to_a_node_of_its_own_level(self, target: str, told: str) -> None:
        loop = node("loopAgentflow_0", loopBackToNode=target)
        block = node("iterationAgentflow_0")
        inside = box("boxAgentflow_1", parent="iterationAgentflow_0")
        edges = [
            edge("startAgentflow_0", "boxAgentflow_0"),
            edge("boxAgentflow_0", "iterationAgentflow_0"),
            edge("iterationAgentflow_0", "loopAgentflow_0"),
        ]

        problems = check(start(), box(), block, inside, loop, edges=edges)

        assert told in only(problems).message if told else problems == []

    def test_a_block_is_closed_and_has_one_first_node(self) -> None:
        block = node("iterationAgentflow_0")
        inside = [box(f"boxAgentflow_{n}", parent="iterationAgentflow_0") for n in (1, 2)]
        edges = [edge("startAgentflow_0", "iterationAgentflow_0"), edge("startAgentflow_0", "boxAgentflow_1")]

        messages = [problem.message for problem in check(start(), block, *inside, edges=edges)]

        assert any("crosses the border of an iteration" in message for message in messages)
        assert any("needs exactly one first node" in message for message in messages)


class TestReferences:
    def test_a_node_that_is_not_there_is_doubted(self) -> None:
        problem = only(check(start(), box(text="{{ gone_0.output.x }}")))

        assert (problem.severity, problem.field, problem.subject) == ("warning", "text", "gone_0")

    def test_a_node_that_runs_later_is_doubted(self) -> None:
        problem = only(check(start(), box(text="{{ boxAgentflow_1 }}"), box("boxAgentflow_1")))

        assert "does not run before this node" in problem.message

    def test_a_loop_brings_later_nodes_before_this_one(self) -> None:
        loop = node("loopAgentflow_0", loopBackToNode="boxAgentflow_0-Box")

        assert check(start(), box(text="{{ boxAgentflow_1 }} {{ boxAgentflow_0 }}"), box("boxAgentflow_1"), loop) == []

    def test_what_every_run_has_is_known(self) -> None:
        text = "{{ question }} {{ $flow.state.x }} {{ state.x }} {{ $vars.y }} {{ startAgentflow_0.output.question }}"

        assert check(start(), box(text=text, boxUpdateState=[{"key": "k", "value": "{{ output }}"}])) == []
        assert only(check(start(), box(text="{{ output }}"))).subject == "output"

    def test_what_components_are_told_is_looked_at(self) -> None:
        config = {"credential": "c", "prefix": "{{ gone_0 }}"}

        assert only(check(start(), box(model="chatThing", modelConfig=config))).field == "modelConfig.prefix"

    def test_a_classic_input_must_come_from_a_node(self) -> None:
        problems = check(node("thingChain_0", model="{{chatThing_9.data.instance}}"))

        assert [(p.node_id, p.field, p.severity) for p in problems] == [("thingChain_0", "model", "error")]


class TestStart:
    @pytest.mark.parametrize(
        ("field", "rows"),
        [
            ("formInputTypes", []),
            ("formInputTypes[0].name", [{"type": "string"}]),
            ("formInputTypes[1].name", [{"type": "string", "name": "a"}, {"type": "number", "name": "a"}]),
            ("formInputTypes[0].type", [{"type": "colour", "name": "a"}]),
            ("formInputTypes[0].addOptions", [{"type": "options", "name": "a", "addOptions": ""}]),
        ],
    )
    def test_a_form_can_be_filled_in(self, field: str, rows: list[Any]) -> None:
        assert only(check(start(startInputType="formInput", formInputTypes=rows), box())).field == field

    def test_a_good_form_has_no_problems(self) -> None:
        rows = [{"type": "options", "name": "a", "addOptions": [{"option": "x"}]}, {"type": "number", "name": "b"}]

        assert check(start(startInputType="formInput", formInputTypes=rows), box()) == []

    @pytest.mark.parametrize(
        ("field", "settings"),
        [
            ("", {}),
            ("webhookMethod", {"webhookMethod": "FETCH"}),
            ("callbackUrl", {"webhookResponseMode": "async"}),
            ("webhookBodyParams[0].name", {"webhookEnableValidation": True, "webhookBodyParams": [{"name": ""}]}),
        ],
    )
    def test_a_webhook_can_be_called(self, field: str, settings: dict[str, Any]) -> None:
        problems = check(start(startInputType="webhookTrigger", **settings), box())

        assert [problem.field for problem in problems] == ([field] if field else [])

    @pytest.mark.parametrize(
        ("field", "settings"),
        [
            ("", {"scheduleFrequency": "daily", "scheduleOnTime": "09:00", "scheduleTimezone": "Asia/Tokyo"}),
            ("", {"scheduleType": "cronExpression", "scheduleCronExpression": "*/5 9-17 * * MON-FRI"}),
            ("scheduleCronExpression", {"scheduleType": "cronExpression", "scheduleCronExpression": "at noon"}),
            ("scheduleFrequency", {}),
            ("scheduleOnDayOfWeek", {"scheduleFrequency": "weekly", "scheduleOnTime": "09:00"}),
            ("scheduleTimezone", {"scheduleFrequency": "hourly", "scheduleOnMinute": 5, "scheduleTimezone": "Mars/X"}),
            ("scheduleEndDate", {"scheduleFrequency": "hourly", "scheduleOnMinute": 5, "scheduleEndDate": "soon"}),
        ],
    )
    def test_a_schedule_can_go_off(self, field: str, settings: dict[str, Any]) -> None:
        problems = check(start(startInputType="scheduleInput", **settings), box())

        assert [problem.field for problem in problems] == ([field] if field else [])


class TestLabels:
    RULES: dict[str, Any] = {"overrideConfig": {"status": True, "nodes": {"Twin": [{"name": "text", "enabled": True}]}}}

    def twins(self, *labels: str) -> list[Problem]:
        nodes = [box(f"boxAgentflow_{n}") for n in range(len(labels))]
        for placed, label in zip(nodes, labels, strict=True):
            placed["data"]["label"] = label
        return check(start(), *nodes, api_config=self.RULES)

    def test_override_rules_want_labels_of_one_node_each(self) -> None:
        assert "boxAgentflow_0, boxAgentflow_1" in only(self.twins("Twin", "Twin")).message
        assert "which is not in the flow" in only(self.twins("Other")).message
        assert self.twins("Twin", "Other") == []

    def test_without_rules_labels_may_repeat(self) -> None:
        nodes = [box("boxAgentflow_0"), box("boxAgentflow_1")]
        for placed in nodes:
            placed["data"]["label"] = "Twin"

        assert check(start(), *nodes) == []
