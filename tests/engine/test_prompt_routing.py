from typing import Any

import pytest

from engine.errors import NodeInputError
from engine.nodes.prompt_routing import Part, run_chain, run_prompt
from engine.providers.fake import FakeChatModel
from tests.engine.node_world import NodeWorld

PARTS = [Part("poet", "Poems.", "You are a poet."), Part("cook", "Recipes.", "You are a cook.")]


async def test_the_model_answers_in_the_part_that_it_chose(nodes: NodeWorld) -> None:
    model = FakeChatModel(['{"destination": "cook", "next_inputs": "How is bread baked?"}', "With flour."])

    result = await run_chain(nodes.context("bread?", streams=True), {"model": model, "promptRetriever": PARTS})

    choosing, answering = model.calls
    assert result.output == {"content": "With flour.", "destination": "cook"}
    assert "poet: Poems.\ncook: Recipes." in choosing.messages[0].content
    assert [message.content for message in answering.messages] == ["You are a cook.", "How is bread baked?"]
    assert nodes.seen.tokens == ["With", " flour."]


@pytest.mark.parametrize("said", ['{"destination": "DEFAULT"}', "the cook", '["cook"]', '{"destination": ["cook"]}'])
async def test_without_a_choice_it_answers_as_itself(nodes: NodeWorld, said: str) -> None:
    model = FakeChatModel([said, "Hello."])

    result = await run_chain(nodes.context("Hi"), {"model": model, "promptRetriever": PARTS})

    assert result.output == {"content": "Hello.", "destination": "DEFAULT"}
    assert [message.content for message in model.calls[1].messages] == ["Hi"]


@pytest.mark.parametrize("given", [None, [], ["text"]])
async def test_something_else_than_prompts_is_refused(nodes: NodeWorld, given: Any) -> None:
    with pytest.raises(NodeInputError, match="Connect Prompt Retriever nodes"):
        await run_chain(nodes.context(), {"model": FakeChatModel(), "promptRetriever": given})


async def test_a_part_needs_a_name_and_words(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="needs a name and a system message"):
        await run_prompt(nodes.context(), {"name": "poet", "systemMessage": " "})
