"""Prompt nodes: templates for a chain to fill in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import values
from engine.prompts import Prompt, escape, fill_in
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

F_STRING = "f-string"  # how exports call {variables} in single braces
VALUES = Param(
    "promptValues",
    "json",
    "Format Prompt Values",
    optional=True,
    variables=True,
    help='What each variable stands for: {"product": "{{question}}"}.',
)
TEMPLATE = NodeSpec(
    name="promptTemplate",
    label="Prompt Template",
    version=1,
    category="Prompts",
    base_classes=("PromptTemplate", "BaseStringPromptTemplate", "BasePromptTemplate", "Runnable"),
    help="A text with {variables}.",
    params=(Param("template", "string", "Template", help="The text."), VALUES),
    role="component",
)
CHAT = NodeSpec(
    name="chatPromptTemplate",
    label="Chat Prompt Template",
    version=2,
    category="Prompts",
    base_classes=("ChatPromptTemplate", "BaseChatPromptTemplate", "BasePromptTemplate", "Runnable"),
    help="A system message and a human message with {variables}.",
    params=(
        Param("systemMessagePrompt", "string", "System Message", optional=True, help="Who the model is to be."),
        Param("humanMessagePrompt", "string", "Human Message", help="What it is asked, such as {text}."),
        VALUES,
    ),
    role="component",
)
FEW_SHOT = NodeSpec(
    name="fewShotPromptTemplate",
    label="Few Shot Prompt Template",
    version=1,
    category="Prompts",
    base_classes=("FewShotPromptTemplate", "BaseStringPromptTemplate", "BasePromptTemplate", "Runnable"),
    help="A text that shows examples before it asks.",
    params=(
        Param("examplePrompt", "PromptTemplate", "Example Prompt", help="How one example is written."),
        Param("examples", "string", "Examples", help='[{"word": "happy", "antonym": "sad"}]'),
        Param("prefix", "string", "Prefix", help="What comes before the examples."),
        Param("suffix", "string", "Suffix", help="What comes after them, with {variables}."),
        Param("exampleSeparator", "string", "Example Separator", default="\n\n", help="What stands between them."),
        Param(
            "templateFormat",
            "options",
            "Template Format",
            default=F_STRING,
            options=(F_STRING,),
            optional=True,
            help="How variables are written.",
        ),
    ),
    role="component",
)


async def run_template(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The template with the values it has so far."""
    prompt = Prompt((("user", values.text(inputs, "template")),), values.mapping(inputs, "promptValues"))
    return NodeResult(value=prompt)


async def run_chat(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The templates of both messages with the values they have so far."""
    system = values.text(inputs, "systemMessagePrompt")
    human = ("user", values.text(inputs, "humanMessagePrompt"))
    parts: tuple[Any, ...] = (("system", system), human) if system else (human,)
    return NodeResult(value=Prompt(parts, values.mapping(inputs, "promptValues")))


async def run_few_shot(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """One template of prefix, examples and suffix.

    Raises NodeInputError for examples that are no list of objects, and for variables that are written in another way.
    """
    if (written := values.text(inputs, "templateFormat", F_STRING)) != F_STRING:
        raise NodeInputError(
            f"A Few Shot Prompt Template cannot read {written!r}: write variables as {{name}}, and choose {F_STRING!r} "
            "under 'templateFormat'."
        )
    example = values.connected(inputs, "examplePrompt", Prompt, "A Few Shot Prompt Template needs an example prompt")
    shown = [_example(example, given) for given in values.items(inputs, "examples")]
    separator = values.text(inputs, "exampleSeparator", "\n\n").replace("\\n", "\n")
    parts = [values.text(inputs, "prefix"), *shown, values.text(inputs, "suffix")]
    return NodeResult(value=Prompt((("user", separator.join(part for part in parts if part)),)))


def _example(prompt: Prompt, given: Mapping[str, Any]) -> str:
    known = {**prompt.values, **given}
    if missing := [name for name in prompt.variables if name not in known]:
        raise NodeInputError(f"An example has no value for {', '.join(missing)}.")
    return escape("\n".join(fill_in(template, known) for _, template in prompt.parts))


NODES = (NodeType(TEMPLATE, run_template), NodeType(CHAT, run_chat), NodeType(FEW_SHOT, run_few_shot))
