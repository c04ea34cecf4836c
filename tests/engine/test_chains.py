from typing import Any

import pytest

from engine.errors import NodeError, NodeInputError
from engine.memories import Memory
from engine.nodes.chains import Chain, run_conversation, run_llm_chain
from engine.parsers import json_parser
from engine.prompts import Prompt
from engine.providers.base import Message, Usage
from engine.providers.fake import FakeChatModel
from tests.engine.node_world import NodeWorld

NAMES = Prompt((("user", "A name for a company that makes {product}?"),))
TITLE = json_parser(
    {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}, autofix=False
)
FIXING = json_parser({"type": "object", "required": ["title"]}, autofix=True)


def told(model: FakeChatModel, call: int = -1) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in model.calls[call].messages]


async def test_the_one_open_variable_takes_the_question(nodes: NodeWorld) -> None:
    model = FakeChatModel(["Sockworks"])

    result = await run_llm_chain(nodes.context("socks", streams=True), {"model": model, "prompt": NAMES})

    assert told(model) == [("user", "A name for a company that makes socks?")]
    assert (result.value, result.output) == ("Sockworks", {"content": "Sockworks"})
    assert nodes.seen.tokens == ["Sockworks"]


async def test_a_chain_that_others_use_is_handed_on_unasked(nodes: NodeWorld) -> None:
    model = FakeChatModel()

    result = await run_llm_chain(nodes.context(is_last=False), {"model": model, "prompt": NAMES})

    assert result.value == Chain(model, NAMES)
    assert model.calls == []


async def test_a_chain_whose_answer_others_use_is_asked_in_silence(nodes: NodeWorld) -> None:
    ctx = nodes.context("socks", is_last=False, output="outputPrediction", streams=True)

    result = await run_llm_chain(ctx, {"model": FakeChatModel(["Sockworks"]), "prompt": NAMES})

    assert result.value == "Sockworks"
    assert nodes.seen.tokens == []


@pytest.mark.parametrize("prompt", [None, "", "text"])
async def test_a_chain_needs_a_prompt(nodes: NodeWorld, prompt: Any) -> None:
    with pytest.raises(NodeInputError, match="needs a prompt"):
        await run_llm_chain(nodes.context(), {"model": FakeChatModel(), "prompt": prompt})


async def test_several_open_variables_are_named(nodes: NodeWorld) -> None:
    prompt = Prompt((("user", "{a} and {b}"),))

    with pytest.raises(NodeInputError, match="no values for a, b"):
        await run_llm_chain(nodes.context(), {"model": FakeChatModel(), "prompt": prompt})


async def test_a_parsed_answer_is_shown_whole_as_json(nodes: NodeWorld) -> None:
    model = FakeChatModel(['Here: {"title": "Heat"}'])
    inputs = {"model": model, "prompt": NAMES, "outputParser": TITLE}

    result = await run_llm_chain(nodes.context("films", streams=True), inputs)

    assert result.value == result.output["json"] == {"title": "Heat"}
    assert nodes.seen.tokens == ['```json\n{\n  "title": "Heat"\n}\n```']
    assert TITLE.instructions in told(model)[0][1]


async def test_an_answer_of_another_shape_is_an_error(nodes: NodeWorld) -> None:
    inputs = {"model": FakeChatModel(["no idea"]), "prompt": NAMES, "outputParser": TITLE}

    with pytest.raises(NodeError, match="not what the output parser asks for"):
        await run_llm_chain(nodes.context(), inputs)


async def test_autofix_asks_once_more(nodes: NodeWorld) -> None:
    model = FakeChatModel(["no idea", '{"title": "Heat"}'])

    result = await run_llm_chain(nodes.context(), {"model": model, "prompt": NAMES, "outputParser": FIXING})

    assert result.value == {"title": "Heat"}
    assert [role for role, _ in told(model)] == ["user", "assistant", "user"]
    assert result.usage.output_tokens == 4


async def test_autofix_asks_no_third_time(nodes: NodeWorld) -> None:
    model = FakeChatModel(["no", "no", '{"title": "Heat"}'])

    with pytest.raises(NodeError, match="not what the output parser asks for"):
        await run_llm_chain(nodes.context(), {"model": model, "prompt": NAMES, "outputParser": FIXING})

    assert len(model.calls) == 2


async def test_a_conversation_holds_what_was_said_before(nodes: NodeWorld) -> None:
    nodes.history.sessions["s1"] = [Message("user", "I am Ann"), Message("assistant", "Hello Ann")]
    model = FakeChatModel(["You are Ann"])
    inputs = {"model": model, "memory": Memory(nodes.history), "systemMessagePrompt": "Be kind."}

    result = await run_conversation(nodes.context("Who am I?"), inputs)

    assert told(model) == [
        ("system", "Be kind."),
        ("user", "I am Ann"),
        ("assistant", "Hello Ann"),
        ("user", "Who am I?"),
    ]
    assert result.usage == Usage(10, 3)


@pytest.mark.parametrize("more", [{}, {"systemMessagePrompt": ""}])
async def test_a_conversation_without_a_system_message_is_friendly(nodes: NodeWorld, more: dict[str, Any]) -> None:
    model = FakeChatModel(["Hello"])

    await run_conversation(nodes.context("Hi"), {"model": model, "memory": Memory(nodes.history), **more})

    (system, _) = told(model)
    assert system[0] == "system"
    assert system[1].startswith("The following is a friendly conversation")


async def test_a_conversations_prompt_may_hold_the_history_as_text(nodes: NodeWorld) -> None:
    nodes.history.sessions["s1"] = [Message("user", "I am Ann"), Message("assistant", "Hello Ann")]
    model = FakeChatModel()
    prompt = Prompt((("system", "So far:\n{chat_history}"), ("user", "{input}?")))
    inputs = {"model": model, "memory": Memory(nodes.history), "chatPromptTemplate": prompt}

    await run_conversation(nodes.context("Who am I"), inputs)

    assert told(model)[0] == ("system", "So far:\nHuman: I am Ann\nAssistant: Hello Ann")
    assert told(model)[-1] == ("user", "Who am I?")


async def test_images_go_with_the_question(nodes: NodeWorld) -> None:
    model = FakeChatModel()
    ctx = nodes.context("What?", images=("data:image/png;base64,AA",))

    await run_conversation(ctx, {"model": model, "memory": Memory(nodes.history)})

    assert model.calls[0].messages[-1].images == ("data:image/png;base64,AA",)
