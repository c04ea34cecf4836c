"""Multi prompt chains: a model first chooses whose part it plays, then answers in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.moderation import MODERATION, moderated
from engine.nodes import values
from engine.nodes.asking import ask
from engine.nodes.questions import with_images
from engine.parsers import read_choice
from engine.providers.base import ChatModel, Message, Usage
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

ROUTE = (
    "Given a question, choose who answers it best. Answer with a JSON object and nothing else: "
    '{{"destination": "the name of one of the candidates, or DEFAULT if none fits", "next_inputs": "the question, '
    'reworded if that makes for a better answer"}}.\n\nCandidates:\n{candidates}'
)

PROMPT = NodeSpec(
    name="promptRetriever",
    label="Prompt Retriever",
    version=1,
    category="Retrievers",
    base_classes=("PromptRetriever",),
    help="A part that a Multi Prompt Chain may choose to play.",
    params=(
        Param("name", "string", "Prompt Name", help="Its name for the model, such as physics_teacher."),
        Param("description", "string", "Prompt Description", help="Which questions it is good at."),
        Param("systemMessage", "string", "Prompt System Message", help="Who the model then is to be."),
    ),
    role="component",
)
CHAIN = NodeSpec(
    name="multiPromptChain",
    label="Multi Prompt Chain",
    version=2,
    category="Chains",
    base_classes=("MultiPromptChain", "BaseChain", "Runnable"),
    help="Chooses among several prompts, and answers with it.",
    params=(
        Param("model", "BaseLanguageModel", "Language Model", help="Which model is asked."),
        Param("promptRetriever", "PromptRetriever", "Prompt Retriever", is_list=True, help="The choice."),
        MODERATION,
    ),
    role="ending",
)


@dataclass(frozen=True, slots=True)
class Part:
    """Who a model may be, and what for."""

    name: str
    description: str
    system: str


async def run_prompt(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError for a part without a name, or with nothing to say."""
    part = Part(*(values.text(inputs, name).strip() for name in ("name", "description", "systemMessage")))
    if not part.name or not part.system:
        raise NodeInputError("A Prompt Retriever needs a name and a system message.")
    return NodeResult(value=part)


async def run_chain(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Have the model choose a part, then answer in it; in none if nothing fits."""
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    model = values.connected(inputs, "model", ChatModel, "A chain needs a chat model")  # type: ignore[type-abstract]
    parts = _parts(inputs)
    part, question, usage = await _chosen(model, parts, ctx.request.question)
    opening = [Message("system", part.system)] if part else []
    completion = await ask(ctx, model, with_images(ctx, [*opening, Message("user", question)]))
    output = {"content": completion.text, "destination": part.name if part else "DEFAULT"}
    return NodeResult(output=output, value=completion.text, usage=completion.usage + usage)


def _parts(inputs: Inputs) -> Mapping[str, Part]:
    given = inputs.get("promptRetriever") or ()
    connected = given if isinstance(given, list | tuple) else (given,)
    if not connected or not all(isinstance(one, Part) for one in connected):
        raise NodeInputError("Connect Prompt Retriever nodes to 'promptRetriever'.")
    return {part.name: part for part in connected}


async def _chosen(model: ChatModel, parts: Mapping[str, Part], question: str) -> tuple[Part | None, str, Usage]:
    """The part, the question as it is to be put, and what it took to choose."""
    candidates = "\n".join(f"{part.name}: {part.description}" for part in parts.values())
    told = await model.complete([Message("system", ROUTE.format(candidates=candidates)), Message("user", question)])
    destination, reworded = read_choice(told.text, question)
    return parts.get(destination), reworded, told.usage


NODES = (NodeType(PROMPT, run_prompt), NodeType(CHAIN, moderated(run_chain)))
