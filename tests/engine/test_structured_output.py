from typing import Any

import orjson
import pytest

from engine.errors import NodeError, NodeInputError, ProviderError
from engine.nodes.agentflow_llm import run_llm
from engine.providers.base import Message
from engine.providers.fake import FakeChatModel
from engine.structured import answer_schema, ask_shaped
from tests.engine.node_world import NodeWorld

ASK = [Message("user", "Who is next?")]
ROWS = [
    {"key": "next", "type": "enum", "enumValues": "FINISH, SOFTWARE", "jsonSchema": "", "description": "next worker"},
    {"key": "why", "type": "string", "enumValues": "", "description": ""},
]
WRONG = '{"next": "LUNCH", "why": ""}'
GOOD = '{"next": "SOFTWARE", "why": "It is due"}'


def row(kind: str, **more: Any) -> list[dict[str, Any]]:
    return [{"key": "it", "type": kind, **more}]


@pytest.mark.parametrize(
    ("rows", "schema"),
    [
        (row("string"), {"type": "string"}),
        (row(""), {"type": "string"}),
        (row("number", description="How many."), {"type": "number", "description": "How many."}),
        (row("boolean"), {"type": "boolean"}),
        (row("stringArray"), {"type": "array", "items": {"type": "string"}}),
        (row("enum", enumValues="a, b,,c "), {"type": "string", "enum": ["a", "b", "c"]}),
    ],
)
def test_each_type_becomes_a_schema(rows: Any, schema: dict[str, Any]) -> None:
    assert answer_schema(rows) == {
        "type": "object",
        "properties": {"it": schema},
        "required": ["it"],
        "additionalProperties": False,
    }


def test_the_items_of_a_list_are_described_property_by_property() -> None:
    source = "{name: {type: 'string', required: true, description: 'Whose.'}, age: {type: 'number', required: false}}"

    schema = answer_schema(row("jsonArray", jsonSchema=source))["properties"]["it"]["items"]

    assert schema["properties"] == {"name": {"type": "string", "description": "Whose."}, "age": {"type": "number"}}
    assert schema["required"] == ["name"]


def test_items_may_hold_lists_and_objects() -> None:
    source = {
        "tags": {"type": "array", "items": {"type": "string"}},
        "place": {"type": "object", "properties": {"city": {"type": "string"}}},
        "size": {"w": {"type": "number"}, "h": {"type": "number"}},
    }

    properties = answer_schema(row("jsonArray", jsonSchema=source))["properties"]["it"]["items"]["properties"]

    assert properties["tags"] == {"type": "array", "items": {"type": "string"}}
    assert properties["place"]["properties"] == {"city": {"type": "string"}}
    assert list(properties["size"]["properties"]) == ["w", "h"]


def test_items_may_be_given_as_a_json_schema() -> None:
    source = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^x"}}}

    assert answer_schema(row("jsonArray", jsonSchema=orjson.dumps(source).decode()))["properties"]["it"]["items"] == (
        source
    )


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"key": " ", "type": "string"}], "has no key"),
        (row("enum", enumValues=" , "), "'it' is an enum without values"),
        (row("date"), "has the type 'date'"),
        (row("jsonArray", jsonSchema=""), "needs a JSON schema"),
        (row("jsonArray", jsonSchema="{name:"), "is no JSON"),
        (row("jsonArray", jsonSchema={"type": "object", "properties": {"a": {"type": "wrong"}}}), "is wrong"),
        (row("jsonArray", jsonSchema="[" * 5000), "is no JSON"),
        (row("jsonArray", jsonSchema={"type": "object", "properties": {"a": {"$ref": "http://x.y/"}}}), r"uses \$ref"),
        (row("jsonArray", jsonSchema={"type": "object", "properties": {}, "patternProperties": {}}), "patternProp"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(rows: Any, told: str) -> None:
    with pytest.raises(NodeInputError, match=told):
        answer_schema(rows)


async def test_an_answer_of_the_right_shape_is_read() -> None:
    model = FakeChatModel([GOOD])

    shaped = await ask_shaped(model, ASK, answer_schema(ROWS))

    assert shaped.value == {"next": "SOFTWARE", "why": "It is due"}
    assert model.calls[0].schema == answer_schema(ROWS)


async def test_an_answer_of_another_shape_is_asked_for_once_more() -> None:
    model = FakeChatModel([WRONG, f"```json\n{GOOD}\n```"])

    shaped = await ask_shaped(model, ASK, answer_schema(ROWS))

    correction = model.calls[1].messages[-1].content
    assert shaped.value["next"] == "SOFTWARE"
    assert "$.next: 'LUNCH' is not one of" in correction
    assert shaped.usage.output_tokens == len(WRONG.split()) + len(GOOD.split()) + 2


async def test_a_second_answer_of_another_shape_is_an_error() -> None:
    with pytest.raises(NodeError, match=r"does not have the structure that was asked for\. It is not JSON"):
        await ask_shaped(FakeChatModel(["no", "never"]), ASK, answer_schema(ROWS))


async def test_a_server_that_knows_no_schemas_is_told_in_words() -> None:
    model = FakeChatModel([ProviderError("response_format is unknown", retryable=False, status=400), GOOD])

    shaped = await ask_shaped(model, ASK, answer_schema(ROWS))

    assert shaped.value["next"] == "SOFTWARE"
    assert model.calls[1].schema is None
    assert '"enum":["FINISH","SOFTWARE"]' in model.calls[1].messages[-1].content


async def test_another_refusal_is_not_tried_in_words() -> None:
    model = FakeChatModel([ProviderError("no key", retryable=False, status=401), GOOD])

    with pytest.raises(ProviderError, match="no key"):
        await ask_shaped(model, ASK, answer_schema(ROWS))


async def test_the_keys_of_an_llm_node_stand_beside_its_text(nodes: NodeWorld) -> None:
    nodes.components["fakeChat"] = FakeChatModel([GOOD])
    inputs = {"llmModel": "fakeChat", "llmStructuredOutput": ROWS}

    result = await run_llm(nodes.context("go", streams=True), inputs)

    assert orjson.loads(result.output["content"]) == {"next": "SOFTWARE", "why": "It is due"}
    assert (result.output["next"], result.output["why"]) == ("SOFTWARE", "It is due")
    assert nodes.seen.tokens == [result.output["content"]]


@pytest.mark.parametrize(("value", "content"), [('"words"', "words"), ("7", '{"content":7}')])
async def test_content_stays_a_text_for_the_nodes_that_follow(nodes: NodeWorld, value: str, content: str) -> None:
    nodes.components["fakeChat"] = FakeChatModel([f'{{"content": {value}}}'])
    kind = "string" if value.startswith('"') else "number"
    inputs = {"llmModel": "fakeChat", "llmStructuredOutput": [{"key": "content", "type": kind}]}

    result = await run_llm(nodes.context("go"), inputs)

    assert result.output["content"] == content
