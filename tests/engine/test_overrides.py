"""What a caller may change of a flow for one run, whatever the shape in which it asks."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.flow import Flow, parse_flow
from engine.override_values import is_protected
from engine.overrides import Overrides, apply_overrides, with_overrides
from engine.plan import plan_for
from engine.registry import load_registry
from tests.engine.drawing import Board, echoes, entry_of

REGISTRY = load_registry()
STATE = [{"key": "colour", "value": "red"}, {"key": "size", "value": "{{ question }}"}]


def classic() -> Flow:
    chain = {
        "model": "{{chatOpenAI_0.data.instance}}",
        "prompt": "{{promptTemplate_0.data.instance}}",
        "chainName": "old",
    }
    nodes = [
        node("chatOpenAI_0", "Model", temperature=0.9, streaming=True, basepath="", stopSequence="", baseOptions="{}"),
        node("chatOpenAI_1", "Other", temperature=0.9),
        node("promptTemplate_0", "Prompt", template="{a} {b}", promptValues='{"a": "{{question}}", "b": "two"}'),
        node("llmChain_0", "Chain", **chain),
    ]
    edges = [edge("chatOpenAI_0", "llmChain_0", "model"), edge("promptTemplate_0", "llmChain_0", "prompt")]
    return parse_flow(orjson.dumps({"nodes": nodes, "edges": edges}))


def agentflow() -> Flow:
    config = {"modelName": "m", "temperature": 0.5, "basepath": "http://127.0.0.1:1/v1", "FLOWISE_CREDENTIAL_ID": "c"}
    messages = [{"role": "system", "content": "Be {{ $flow.state.colour }}."}]
    tools = [{"agentSelectedTool": "calculator", "agentSelectedToolConfig": {}}]
    nodes = [
        node("startAgentflow_0", "Start", startInputType="chatInput", startState=STATE),
        node(
            "agentAgentflow_0",
            "Ask",
            agentModel="chatOpenAI",
            agentModelConfig=config,
            agentMessages=messages,
            agentTools=tools,
        ),
    ]
    return parse_flow(orjson.dumps({"nodes": nodes, "edges": [edge("startAgentflow_0", "agentAgentflow_0")]}))


def node(node_id: str, label: str, **inputs: Any) -> dict[str, Any]:
    name = node_id.rpartition("_")[0]
    category = {"llmChain": "Chains"}.get(name, "")
    return {
        "id": node_id,
        "data": {"id": node_id, "label": label, "name": name, "category": category, "inputs": inputs},
    }


def edge(source: str, target: str, anchor: str = "") -> dict[str, str]:
    handle = f"{target}-input-{anchor}-Any" if anchor else target
    return {"source": source, "target": target, "sourceHandle": f"{source}-output-x", "targetHandle": handle}


def rules(status: Any = True, variables: list[str] | None = None, **labels: list[str]) -> dict[str, Any]:
    nodes = {
        label: [{"label": n, "name": n, "type": "x", "enabled": True} for n in names] for label, names in labels.items()
    }
    known = [{"id": n, "name": n, "type": "static", "enabled": True} for n in variables or ()]
    return {"overrideConfig": {"status": status, "nodes": nodes, "variables": known}}


def apply(flow: Flow, override: dict[str, Any], api_config: dict[str, Any]) -> Overrides:
    return apply_overrides(flow, override, api_config, REGISTRY)


ASKED: dict[str, Any] = {
    "a scalar": {"temperature": 0.1},
    "an array": {"temperature": [0.1]},
    "by node id": {"temperature": {"chatOpenAI_0": 0.1}},
    "another object": {"temperature": {"x": 0.1}},
    "a config": {"agentModelConfig": {"temperature": 0.1}},
    "a config by node id": {"agentModelConfig": {"agentAgentflow_0": {"temperature": 0.1}}},
    "a stored file": {"temperature": "FILE-STORAGE::x"},
    "a prototype": {"__proto__": {"temperature": 0.1}},
    "a constructor": {"constructor": {"prototype": {"temperature": 0.1}}},
    "traces": {"analytics": {"langFuse": {"endpoint": "https://example.com"}}},
    "a state": {"startState": [{"key": "colour", "value": "blue"}]},
    "a variable": {"vars": {"colour": "blue"}},
}


@pytest.mark.parametrize("shape", ASKED)
@pytest.mark.parametrize("config", [{}, rules(status=False, Model=["temperature"]), rules(Chain=["chainName"])])
@pytest.mark.parametrize("draw", [classic, agentflow])
def test_what_is_not_enabled_changes_nothing_in_any_shape(draw: Any, config: dict[str, Any], shape: str) -> None:
    accepted = apply(draw(), ASKED[shape], config)

    assert (accepted.inputs, accepted.variables) == ({}, {})
    assert accepted.warnings[0].startswith("overrideConfig: not enabled for this flow, ignored: ")
    assert next(iter(ASKED[shape])) in accepted.warnings[0]


def test_a_scalar_reaches_every_node_whose_label_has_it_enabled_and_no_other() -> None:
    both = apply(classic(), {"temperature": 0.1}, rules(Model=["temperature"], Other=["temperature"]))
    one = apply(classic(), {"temperature": "0.1"}, rules(Model=["temperature"]))

    assert both.inputs == {"chatOpenAI_0": {"temperature": 0.1}, "chatOpenAI_1": {"temperature": 0.1}}
    assert one.inputs == {"chatOpenAI_0": {"temperature": 0.1}}
    assert both.warnings == one.warnings == ()


def test_an_object_by_node_id_reaches_that_node_only() -> None:
    asked = {"temperature": {"chatOpenAI_1": 0.1, "chatOpenAI_9": 0.2, "promptTemplate_0": 0.3}}

    accepted = apply(classic(), asked, rules(Model=["temperature"], Other=["temperature"]))

    assert accepted.inputs == {"chatOpenAI_1": {"temperature": 0.1}}
    assert accepted.warnings == (
        "overrideConfig: not enabled for this flow, ignored: temperature.chatOpenAI_9, temperature.promptTemplate_0",
    )


@pytest.mark.parametrize("value", [{"b": "zwei"}, '{"b": "zwei"}', {"promptTemplate_0": {"b": "zwei"}}])
def test_an_object_is_merged_over_the_present_one_even_if_that_is_text(value: Any) -> None:
    accepted = apply(classic(), {"promptValues": value}, rules(Prompt=["promptValues"]))

    assert accepted.inputs["promptTemplate_0"]["promptValues"] == {"a": "{{question}}", "b": "zwei"}


def test_an_array_is_added_without_repeating_what_is_there() -> None:
    rows = [{"role": "system", "content": "Be {{ $flow.state.colour }}."}, {"role": "user", "content": "Hi"}]

    accepted = apply(agentflow(), {"agentMessages": rows}, rules(Ask=["agentMessages"]))

    assert accepted.inputs["agentAgentflow_0"]["agentMessages"] == rows


@pytest.mark.parametrize("state", [{"colour": "blue"}, [{"key": "colour", "value": "blue"}]])
def test_a_state_replaces_the_rows_of_its_keys(state: Any) -> None:
    accepted = apply(agentflow(), {"startState": state}, rules(Start=["startState"]))

    assert accepted.inputs["startAgentflow_0"]["startState"] == [STATE[1], {"key": "colour", "value": "blue"}]


def test_a_components_inputs_are_merged_and_its_secrets_stay_its_own() -> None:
    enabled = rules(Ask=["agentModelConfig", "agentModel"])

    accepted = apply(agentflow(), {"agentModelConfig": {"temperature": 0.1}}, enabled)
    refused = [
        apply(agentflow(), {"agentModelConfig": {name: "x"}}, enabled)
        for name in ("FLOWISE_CREDENTIAL_ID", "credential", "basepath", "baseOptions", "agentModel", "gone")
    ]

    merged = accepted.inputs["agentAgentflow_0"]["agentModelConfig"]
    assert (merged["temperature"], merged["FLOWISE_CREDENTIAL_ID"]) == (0.1, "c")
    assert all(result.inputs == {} and "cannot be overridden" in result.warnings[0] for result in refused)


def test_a_chosen_component_is_not_exchanged_under_its_credential() -> None:
    accepted = apply(agentflow(), {"agentModel": "chatAnthropic"}, rules(Ask=["agentModel"]))

    assert accepted.inputs == {}
    assert "can never be overridden" in accepted.warnings[0]


def test_rows_bring_no_settings_of_components() -> None:
    row = {"agentSelectedTool": "calculator", "agentSelectedToolConfig": {"FLOWISE_CREDENTIAL_ID": "x"}}

    accepted = apply(agentflow(), {"agentTools": [row]}, rules(Ask=["agentTools"]))

    assert accepted.inputs == {}
    assert accepted.warnings == ("overrideConfig: ignored agentTools: 'agentSelectedToolConfig' cannot be overridden",)


@pytest.mark.parametrize("name", ["basepath", "baseOptions", "credential", "cache"])
def test_what_leads_to_secrets_and_other_servers_stays_whatever_the_rules_say(name: str) -> None:
    accepted = apply(classic(), {name: "https://example.com"}, rules(Model=[name]))

    assert accepted.inputs == {}
    assert accepted.warnings[0].startswith(f"overrideConfig: ignored {name}: ")


def test_the_administrator_opens_exactly_what_is_named_and_only_where_the_rules_have_it() -> None:
    flow, asked = classic(), {"basepath": "https://example.com/v1"}
    opened = {"chatOpenAI.basepath"}

    taken = apply_overrides(flow, asked, rules(Model=["basepath"]), REGISTRY, opened=opened)
    not_enabled = apply_overrides(flow, asked, rules(Model=["temperature"]), REGISTRY, opened=opened)
    not_named = apply_overrides(flow, asked, rules(Model=["basepath"]), REGISTRY, opened={"chatAnthropic.basepath"})

    assert taken.inputs == {"chatOpenAI_0": asked}
    assert (not_enabled.inputs, not_named.inputs) == ({}, {})
    assert "can open 'chatOpenAI.basepath' (OVERRIDABLE_FIELDS)" in not_named.warnings[0]


def test_the_administrator_opens_inputs_of_components_too() -> None:
    asked = {"agentModelConfig": {"basepath": "https://example.com/v1"}}
    enabled = rules(Ask=["agentModelConfig"])

    taken = apply_overrides(agentflow(), asked, enabled, REGISTRY, opened={"chatOpenAI.basepath"})

    assert taken.inputs["agentAgentflow_0"]["agentModelConfig"]["basepath"] == "https://example.com/v1"
    assert apply(agentflow(), asked, enabled).inputs == {}


@pytest.mark.parametrize("name", ["baseOptions", "credential", "cache"])
def test_nobody_opens_what_leads_to_secrets(name: str) -> None:
    opened = {f"chatOpenAI.{name}"}

    accepted = apply_overrides(classic(), {name: "{}"}, rules(Model=[name]), REGISTRY, opened=opened)

    assert accepted.inputs == {}
    assert "can never be overridden" in accepted.warnings[0]


@pytest.mark.parametrize(
    ("type_name", "name"),
    [
        ("github", "githubInstanceApi"),
        ("github", "repoLink"),
        ("openApiChain", "yamlLink"),
        ("searXNG", "apiBase"),
        ("weaviate", "weaviateScheme"),
    ],
)
def test_addresses_are_protected_under_whatever_name(type_name: str, name: str) -> None:
    node_type = REGISTRY.get(type_name)
    assert node_type is not None, f"no type {type_name}"
    param = node_type.spec.param(name)

    assert param is not None, f"no input {name}"
    assert is_protected(param)


@pytest.mark.parametrize(
    ("label", "name", "value", "expected"),
    [
        ("Model", "temperature", "hot", "a number, got text"),
        ("Model", "temperature", True, "a number, got a boolean"),
        ("Model", "temperature", "nan", "a number, got text"),
        ("Model", "temperature", float("inf"), "a number, got a number"),
        ("Model", "temperature", 10**400, "a number, got a number"),
        ("Model", "temperature", [1], "a number, got a list"),
        ("Model", "temperature", {"x": 1}, "a number, got an object"),
        ("Model", "streaming", "maybe", "true or false, got text"),
        ("Model", "streaming", 1.5, "true or false, got a number"),
        ("Model", "stopSequence", {"a": 1}, "text, got an object"),
        ("Model", "stopSequence", None, "text, got nothing"),
        ("Model", "imageResolution", "huge", "one of low, high, auto"),
        ("Model", "stopSequence", "x FILE-STORAGE::y", "a stored file cannot be named"),
        ("Prompt", "promptValues", {"a": ["FILE-STORAGE::y"]}, "a stored file cannot be named"),
        ("Prompt", "promptValues", "text", "an object or a list, got text"),
        ("Prompt", "promptValues", "[" * 30 + "]" * 30, "nested deeper than 16 levels"),
        ("Prompt", "gone", 1, "Prompt has no such input"),
    ],
)
def test_a_value_must_be_of_its_params_type(label: str, name: str, value: Any, expected: str) -> None:
    accepted = apply(classic(), {name: value}, rules(**{label: [name]}))

    assert accepted.inputs == {}
    assert len(accepted.warnings) == 1
    assert expected in accepted.warnings[0]


def test_booleans_and_numbers_may_be_text() -> None:
    config = rules(Model=["streaming", "temperature", "stopSequence"])

    accepted = apply(classic(), {"streaming": "false", "temperature": "1", "stopSequence": 7}, config)

    assert accepted.inputs["chatOpenAI_0"] == {"streaming": False, "temperature": 1.0, "stopSequence": "7"}


def test_variables_are_enabled_one_by_one() -> None:
    asked = {"vars": {"colour": "blue", "size": 3, "secret": "x", "shape": {"a": 1}}}

    accepted = apply(classic(), asked, rules(variables=["colour", "size", "shape"]))

    assert accepted.variables == {"colour": "blue", "size": "3"}
    assert accepted.warnings == (
        "overrideConfig: not enabled for this flow, ignored: vars.secret",
        "overrideConfig: ignored vars.shape: expected text",
    )


def test_a_flood_of_names_is_told_briefly() -> None:
    (warning,) = apply(classic(), {f"{n:03}" + "x" * 500: 1 for n in range(300)}, {}).warnings

    assert warning.endswith(" and 280 more")
    assert len(warning) < 2_000


def test_the_run_sees_another_flow_and_the_cached_one_stays_as_it_is() -> None:
    flow = agentflow()
    plan = plan_for(flow, REGISTRY)
    accepted = apply(flow, {"startState": {"colour": "{{ question }}"}}, rules(Start=["startState"]))

    variant = plan_for(with_overrides(flow, accepted), REGISTRY)

    assert flow.plan is plan
    assert plan.steps["startAgentflow_0"].node.inputs["startState"] == STATE
    assert variant.steps["startAgentflow_0"].node.inputs["startState"][-1]["value"] == "{{ question }}"
    assert with_overrides(flow, Overrides()) is flow


async def test_a_text_that_looks_like_a_reference_is_text(board: Board) -> None:
    board.inputs["a"] = {"text": "old"}
    board.does["a"] = echoes
    flow = board.agentflow("start -> a")
    accepted = apply_overrides(flow, {"text": "{{ question }}"}, rules(a=["text"]), board.registry())

    before = await board.run(flow, "hi")
    after = await board.run(with_overrides(flow, accepted), "hi")

    assert entry_of(before, "a")["data"]["output"]["content"] == "old"
    assert entry_of(after, "a")["data"]["output"]["content"] == "{{ question }}"
