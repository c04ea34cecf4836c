from typing import Any

import orjson
import pytest

from engine.errors import NodeInputError
from engine.nodes.openai_assistant import run_assistant
from engine.providers.base import Message
from engine.providers.fake import FakeChatModel, calling
from engine.tools import text_tool
from tests.engine.node_world import NodeWorld

KIND = {"model": "gpt-4o-mini", "instructions": "Be kind.", "temperature": 0}


async def shout(text: str) -> str:
    return text.upper()


@pytest.mark.parametrize(
    "given", [KIND, orjson.dumps(KIND).decode(), {"id": "a1", "details": orjson.dumps(KIND).decode()}]
)
async def test_an_assistant_runs_by_the_definition_in_the_flow(nodes: NodeWorld, given: Any) -> None:
    nodes.components["chatOpenAI"] = model = FakeChatModel([calling("shout", {"input": "hi"}), "HI, friend."])
    nodes.history.sessions = {"s1": [Message("user", "I am Ann."), Message("assistant", "Hello Ann.")]}
    inputs = {"selectedAssistant": given, "tools": [text_tool("shout", "Shouts.", shout)], "credential": "c1"}

    result = await run_assistant(nodes.context("Say hi"), inputs)

    assert result.output["content"] == "HI, friend."
    assert result.output["usedTools"][0]["toolOutput"] == "HI"
    assert [m.content for m in model.calls[0].messages] == ["Be kind.", "I am Ann.", "Hello Ann.", "Say hi"]
    assert nodes.built == [
        ("chatOpenAI", {"modelName": "gpt-4o-mini", "temperature": 0, "FLOWISE_CREDENTIAL_ID": "c1"})
    ]


@pytest.mark.parametrize("given", ["", "9b2d-uuid", None, {}, '{"details": "text"}', "[]"])
async def test_an_assistant_that_is_not_in_the_flow_says_what_is_missing(nodes: NodeWorld, given: Any) -> None:
    with pytest.raises(NodeInputError, match="does not hold its definition") as refused:
        await run_assistant(nodes.context(), {"selectedAssistant": given})

    assert "Tool Agent" in refused.value.message


async def test_what_openai_runs_for_its_own_assistants_is_refused_by_name(nodes: NodeWorld) -> None:
    given = {**KIND, "tools": [{"type": "code_interpreter"}, {"type": "function"}]}

    with pytest.raises(NodeInputError, match="uses code_interpreter, which OpenAI runs"):
        await run_assistant(nodes.context(), {"selectedAssistant": given})
