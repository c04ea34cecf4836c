"""Tools that need nobody else: arithmetic, the clock, and other chains."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from engine.answering import Answerer
from engine.arithmetic import calculate
from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import values
from engine.providers.base import ToolSpec
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.tools import FunctionTool, text_tool, tool_name

BASE_CLASSES = ("Tool", "StructuredTool", "Runnable")

CALCULATOR = NodeSpec(
    name="calculator",
    label="Calculator",
    version=1,
    category="Tools",
    base_classes=("Calculator", *BASE_CLASSES),
    help="Works out arithmetic.",
    role="component",
)
DATE_TIME = NodeSpec(
    name="currentDateTime",
    label="CurrentDateTime",
    version=1,
    category="Tools",
    base_classes=("CurrentDateTime", *BASE_CLASSES),
    help="Tells the day and the time.",
    role="component",
)
CHAIN = NodeSpec(
    name="chainTool",
    label="Chain Tool",
    version=1,
    category="Tools",
    base_classes=("ChainTool", "DynamicTool", *BASE_CLASSES),
    help="Lets an agent ask a chain.",
    params=(
        Param("name", "string", "Chain Name", help="Its name for the model."),
        Param("description", "string", "Chain Description", help="When the model is to use it."),
        Param("returnDirect", "boolean", "Return Direct", optional=True, help="Its answer is the agent's answer."),
        Param("baseChain", "BaseChain", "Base Chain", help="Which chain."),
    ),
    role="component",
)


async def run_calculator(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A tool for expressions such as `2 * (3 + 4)`."""

    async def work_out(expression: str) -> str:
        return calculate(expression)

    description = "Useful for getting the result of a math expression. The input must be an expression such as 2*(3+4)."
    return NodeResult(value=text_tool("calculator", description, work_out))


async def run_date_time(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A tool that tells UTC."""

    async def tell(_: Mapping[str, Any]) -> str:
        now = datetime.fromtimestamp(ctx.world.clock.now(), UTC)
        told = {"date": f"{now:%Y-%m-%d}", "day": f"{now:%A}", "time": f"{now:%H:%M:%S}", "timezone": "UTC"}
        return orjson.dumps(told).decode()

    description = "Useful to get current day, date and time."
    nothing = {"type": "object", "properties": {}}
    return NodeResult(value=FunctionTool(ToolSpec("current_date_time", description, nothing), tell))


async def run_chain_tool(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A tool that puts its input to a chain. Raises NodeInputError for a chain that can only end a flow."""
    chain = inputs.get("baseChain")
    if not isinstance(chain, Answerer):
        raise NodeInputError(
            "A Chain Tool needs a chain that it can put questions to: an LLM Chain, whose output is the chain itself, "
            "or one that answers from documents."
        )

    async def put(question: str) -> str:
        return (await chain.answer(question)).text

    name = tool_name(values.text(inputs, "name", "chain"))
    description = values.text(inputs, "description")
    tool = text_tool(name, description, put, return_direct=values.flag(inputs, "returnDirect"))
    return NodeResult(value=tool)


NODES = (NodeType(CALCULATOR, run_calculator), NodeType(DATE_TIME, run_date_time), NodeType(CHAIN, run_chain_tool))
