import time

import orjson
import pytest

from engine.arithmetic import calculate
from engine.errors import NodeInputError
from engine.nodes.chains import Chain
from engine.nodes.retrieval_chains import run_vector_db
from engine.nodes.tools import run_calculator, run_chain_tool, run_date_time
from engine.parsers import list_parser
from engine.prompts import Prompt
from engine.providers.base import Document
from engine.providers.fake import FakeChatModel, FakeEmbedder
from engine.tools import tool_name
from engine.vectors import EmbeddedStore, MemoryIndex
from tests.engine.node_world import NodeWorld


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2*(3+4)", "14"),
        ("2^10", "1024"),
        ("-2**2", "-4"),
        ("7 ÷ 2", "3.5"),
        ("0.1 + 0.2", "0.3"),
        ("10 % 3", "1"),
        ("sqrt(16) + abs(-1)", "5"),
        ("round(pi, 2)", "3.14"),
        ("factorial(20)", "2432902008176640000"),
        ("2 ** 0.5", "1.4142135623731"),
        ("min(3, 2) < max(3, 2)", "true"),
    ],
)
def test_arithmetic_is_worked_out(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("1/0", "divided by zero"),
        ("9**9**9**9", "no arithmetic that can be worked out"),
        ("(10**300)*(10**300)*(10**300)*(10**300)*(10**300)", "too large"),
        ("1e300*1e300", "too large"),
        ("factorial(10**9)", "factorials go from 0 to 170"),
        ("'a' * 10**9", "numbers alone"),
        ("'text'", "numbers alone"),
        ("__import__('os').getpid()", "no arithmetic"),
        ("(1).__class__", "no arithmetic"),
        ("[x for x in (1, 2)]", "no arithmetic"),
        ("answer", "no arithmetic"),
        ("", "no arithmetic"),
        ("1 +", "no arithmetic"),
        ("(" * 400, "no arithmetic"),
        ("1+" * 600 + "1", "more than 1000 characters"),
    ],
)
def test_what_is_no_arithmetic_is_refused_at_once(expression: str, told: str) -> None:
    started = time.monotonic()

    with pytest.raises(NodeInputError, match=told):
        calculate(expression)

    assert time.monotonic() - started < 1


async def test_the_calculator_takes_its_expression_under_any_name(nodes: NodeWorld) -> None:
    tool = (await run_calculator(nodes.context(), {})).value

    assert tool.spec.name == "calculator"
    assert [await tool.call({"input": "6*7"}), await tool.call({"expression": "6*7"})] == ["42", "42"]


async def test_a_tool_without_its_input_says_so(nodes: NodeWorld) -> None:
    tool = (await run_calculator(nodes.context(), {})).value

    with pytest.raises(NodeInputError, match="calculator needs an input"):
        await tool.call({})


async def test_the_time_is_that_of_the_runs_clock(nodes: NodeWorld) -> None:
    tool = (await run_date_time(nodes.context(), {})).value

    told = orjson.loads(await tool.call({}))

    assert told == {"date": "2023-11-14", "day": "Tuesday", "time": "22:13:20", "timezone": "UTC"}


async def test_a_chain_answers_as_a_tool(nodes: NodeWorld) -> None:
    model = FakeChatModel()
    inputs = {
        "name": "Ask the poet!",
        "description": "For poems.",
        "returnDirect": "true",
        "baseChain": Chain(model, Prompt((("user", "A poem about {topic}"),))),
    }

    tool = (await run_chain_tool(nodes.context(), inputs)).value

    assert (tool.spec.name, tool.spec.description, tool.return_direct) == ("Ask_the_poet", "For poems.", True)
    assert await tool.call({"input": "rain"}) == "You said: A poem about rain"


async def test_a_chain_with_an_output_parser_answers_with_what_that_reads(nodes: NodeWorld) -> None:
    model = FakeChatModel(["red", "red; blue"])
    parser = list_parser(length=2, separator=";", autofix=True)
    chain = Chain(model, Prompt((("user", "Colours of {thing}"),)), parser)

    tool = (await run_chain_tool(nodes.context(), {"name": "colours", "baseChain": chain})).value

    assert await tool.call({"input": "flags"}) == '["red","blue"]'
    assert parser.instructions in model.calls[0].messages[0].content


async def test_a_chain_answers_from_documents_as_a_tool(nodes: NodeWorld) -> None:
    store = EmbeddedStore(MemoryIndex(), FakeEmbedder())
    await store.add([Document("Snow is white.")])
    model = FakeChatModel(["White."])
    ctx = nodes.context(is_last=False)
    chain = (await run_vector_db(ctx, {"model": model, "vectorStore": store})).value

    tool = (await run_chain_tool(ctx, {"name": "colours", "baseChain": chain})).value

    assert await tool.call({"input": "What is white?"}) == "White."
    assert "Snow is white." in model.calls[0].messages[0].content
    assert model.calls[0].messages[-1].content == "What is white?"


async def test_a_chain_that_can_only_end_a_flow_is_no_tool(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="needs a chain that it can put questions to"):
        await run_chain_tool(nodes.context(), {"name": "x", "baseChain": "an answer"})


@pytest.mark.parametrize(("label", "name"), [("Get events!", "Get_events"), ("…", "tool"), ("x" * 99, "x" * 64)])
def test_names_of_tools_are_those_that_vendors_take(label: str, name: str) -> None:
    assert tool_name(label) == name
