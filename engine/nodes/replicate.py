"""Models at Replicate."""

from __future__ import annotations

from engine.caching import cached
from engine.context import NodeContext
from engine.credentials import check_destination
from engine.errors import NodeInputError
from engine.nodes import values
from engine.nodes.model_vendors import TEMPERATURE, TOP_P
from engine.providers.replicate import API, Program, ReplicateModel
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

REPLICATE = NodeSpec(
    name="replicate",
    label="Replicate",
    version=2,
    category="LLMs",
    base_classes=("Replicate", "BaseChatModel", "LLM", "BaseLLM", "BaseLanguageModel", "Runnable"),
    help="Language models at Replicate.",
    params=(
        Param("credential", "credential", "Connect Credential"),
        Param("cache", "BaseCache", "Cache", optional=True),
        Param("model", "string", "Model", help="Such as meta/meta-llama-3-8b-instruct, with or without a version."),
        TEMPERATURE,
        Param("maxTokens", "number", "Max Tokens", optional=True, help="Longest answer, in tokens."),
        TOP_P,
        Param("repetitionPenalty", "number", "Repetition Penalty", optional=True, help="Higher repeats less."),
        Param("additionalInputs", "json", "Additional Inputs", optional=True, help="What else the model is given."),
        Param("baseUrl", "string", "Base URL", default=API, optional=True, help="Another server of this format."),
    ),
    credentials=("replicateApi",),
    role="component",
)


async def run_replicate(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Configure the model; nothing is called yet. Raises NodeInputError without a key or the name of a model."""
    api = values.text(inputs, "baseUrl", API).rstrip("/")
    fields = await values.credential(ctx, inputs)
    check_destination(fields, api, own_url=API, egress=ctx.world.http.egress)
    key = fields.get("replicateApiKey", "")
    if not key and api == API:
        raise NodeInputError("Replicate needs a credential: connect one of kind 'replicateApi'.")
    model = values.text(inputs, "model")
    if "/" not in model:
        raise NodeInputError("Replicate needs a model such as meta/meta-llama-3-8b-instruct under 'model'.")
    given = {
        "temperature": values.number(inputs, "temperature"),
        "max_length": values.integer(inputs, "maxTokens"),
        "max_new_tokens": values.integer(inputs, "maxTokens"),
        "top_p": values.number(inputs, "topP"),
        "repetition_penalty": values.number(inputs, "repetitionPenalty"),
        **values.mapping(inputs, "additionalInputs"),
    }
    program = Program(model, {name: value for name, value in given.items() if value is not None}, key, api)
    world = ctx.world
    return NodeResult(value=ReplicateModel(program, http=world.http, clock=world.clock, random=world.random))


NODES = (NodeType(REPLICATE, cached(run_replicate)),)
