from typing import Any

import pytest

from engine.errors import NodeInputError
from engine.nodes.prompts import run_chat, run_few_shot, run_template
from engine.prompts import Prompt
from tests.engine.node_world import NodeWorld


def filled(prompt: Prompt, question: str = "socks") -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in prompt.fill(question)]


async def test_a_template_takes_its_values_and_the_question(nodes: NodeWorld) -> None:
    inputs = {"template": "Sell {product} in {place}", "promptValues": '{"place": "Bern"}'}

    prompt = (await run_template(nodes.context(), inputs)).value

    assert filled(prompt) == [("user", "Sell socks in Bern")]


async def test_values_are_never_searched_for_variables(nodes: NodeWorld) -> None:
    inputs = {"template": "{a} {b}", "promptValues": {"a": "{b}", "b": {"x": 1}}}

    prompt = (await run_template(nodes.context(), inputs)).value

    assert filled(prompt) == [("user", '{b} {"x":1}')]


async def test_braces_of_json_and_doubled_braces_stay(nodes: NodeWorld) -> None:
    inputs = {"template": 'Answer as {"a": 1} or {{b}} about {topic}'}

    prompt = (await run_template(nodes.context(), inputs)).value

    assert filled(prompt, "rain") == [("user", 'Answer as {"a": 1} or {b} about rain')]


async def test_a_chat_prompt_has_two_parts(nodes: NodeWorld) -> None:
    inputs = {"systemMessagePrompt": "You speak {language}.", "humanMessagePrompt": "{text}", "promptValues": ""}
    values = {**inputs, "promptValues": {"language": "French"}}

    prompt = (await run_chat(nodes.context(), values)).value

    assert filled(prompt, "hello") == [("system", "You speak French."), ("user", "hello")]


async def test_a_chat_prompt_without_a_system_message_has_one(nodes: NodeWorld) -> None:
    prompt = (await run_chat(nodes.context(), {"systemMessagePrompt": "", "humanMessagePrompt": "{text}"})).value

    assert filled(prompt, "hello") == [("user", "hello")]


async def test_examples_are_shown_before_the_question(nodes: NodeWorld) -> None:
    inputs = {
        "examplePrompt": Prompt((("user", "{word} -> {antonym}"),)),
        "examples": '[{"word": "hap{p}y", "antonym": "sad"}, {"word": "tall", "antonym": "short"}]',
        "prefix": "Antonyms:",
        "suffix": "{input} ->",
        "exampleSeparator": "\\n",
    }

    prompt = (await run_few_shot(nodes.context(), inputs)).value

    assert filled(prompt, "big") == [("user", "Antonyms:\nhap{p}y -> sad\ntall -> short\nbig ->")]


async def test_variables_that_are_written_in_another_way_are_refused(nodes: NodeWorld) -> None:
    inputs = {"examplePrompt": Prompt((("user", "{word}"),)), "examples": "[]", "templateFormat": "jinja-2"}

    with pytest.raises(NodeInputError, match=r"cannot read 'jinja-2': write variables as \{name\}"):
        await run_few_shot(nodes.context(), inputs)


async def test_an_example_without_a_value_names_it(nodes: NodeWorld) -> None:
    inputs = {"examplePrompt": Prompt((("user", "{word}"),)), "examples": '[{"wrod": "x"}]', "suffix": "{input}"}

    with pytest.raises(NodeInputError, match="no value for word"):
        await run_few_shot(nodes.context(), inputs)


@pytest.mark.parametrize(
    ("values", "told"), [("{oops", "promptValues must be JSON"), ("[1]", "must be a JSON object, not list")]
)
async def test_values_that_are_no_object_are_refused(nodes: NodeWorld, values: Any, told: str) -> None:
    with pytest.raises(NodeInputError, match=told):
        await run_template(nodes.context(), {"template": "x", "promptValues": values})
