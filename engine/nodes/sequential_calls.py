"""Functions and other flows as steps of sequential agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import members, values
from engine.nodes.channels import merging
from engine.nodes.conversations import explained
from engine.nodes.flow_values import flow_view, run_code, value_of
from engine.providers.base import Message
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.templating import as_text

AS_HUMAN, AS_STATE = "humanMessage", "stateObj"
RETURN = Param(
    "returnValueAs",
    "options",
    "Return Value As",
    default="aiMessage",
    optional=True,
    options=("aiMessage", AS_HUMAN, AS_STATE),
    help="Whose words the result is, or an object that goes into the state.",
)
FUNCTION = NodeSpec(
    name="seqCustomFunction",
    label="Custom JS Function",
    version=1,
    category=members.SEQUENTIAL,
    base_classes=("CustomFunction",),
    help="Runs JavaScript.",
    params=(
        Param(
            "functionInputVariables",
            "json",
            "Input Variables",
            optional=True,
            variables=True,
            help="Globals of the function, with a $ before their names.",
        ),
        members.BEFORE,
        Param("functionName", "string", "Function Name", help="What it is called."),
        Param("javascriptFunction", "code", "Javascript Function", help="The body of an async function."),
        RETURN,
    ),
    role="member",
)
CREDENTIAL = Param("credential", "credential", "Connect Credential", optional=True)
EXECUTE_FLOW = NodeSpec(
    name="seqExecuteFlow",
    label="Execute Flow",
    version=1,
    category=members.SEQUENTIAL,
    base_classes=("ExecuteFlow",),
    help="Runs another flow.",
    params=(
        CREDENTIAL,
        members.BEFORE,
        Param("seqExecuteFlowName", "string", "Name", help="What it is called."),
        Param("selectedFlow", "asyncOptions", "Select Flow", help="Which flow of this workspace."),
        Param(
            "seqExecuteFlowInput",
            "string",
            "Input",
            optional=True,
            help="What it is asked: the question, or what a node said, such as {{seqAgent_0}}.",
        ),
        Param("overrideConfig", "json", "Override Config", optional=True, help="Inputs of its nodes by name."),
        Param("baseURL", "string", "Base URL", optional=True, help="Left empty: only this server's flows are called."),
        Param(
            "startNewSession",
            "boolean",
            "Start new session per message",
            optional=True,
            help="Ask it as somebody who was never there before.",
        ),
        RETURN,
    ),
    credentials=("chatflowApi",),
    role="member",
)


async def run_function(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError for what is no JavaScript or gives no text, NodeError for what it throws."""
    title = members.title_in(ctx, inputs, "functionName")
    with explained(f"Error in {title}"):
        view = flow_view(ctx)
        given = values.mapping(inputs, "functionInputVariables")
        variables = {f"${name}": _plain(value_of(ctx, value, view)) for name, value in given.items()}
        code = values.text(inputs, "javascriptFunction")
        if not code:
            raise NodeInputError("There is no function: write one.")
        return _returned(ctx, inputs, title, await run_code(ctx, code, view, **variables))


async def run_execute_flow(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Ask another flow of the workspace; if it waits for a person, so does this node.

    Raises NodeInputError for a flow that cannot be called from here, NodeError if it fails.
    """
    title = members.title_in(ctx, inputs, "seqExecuteFlowName")
    with explained(f"Error in {title}"):
        override = values.mapping(inputs, "overrideConfig")
        if values.flag(inputs, "startNewSession"):
            override = {"sessionId": str(UUID(int=ctx.world.random.getrandbits(128), version=4)), **override}
        ran = await ctx.build(
            "executeFlowAgentflow",
            {
                "executeFlowSelectedFlow": values.text(inputs, "selectedFlow"),
                "executeFlowInput": _asked(inputs),
                "executeFlowOverrideConfig": override,
                "executeFlowBaseURL": values.text(inputs, "baseURL"),
            },
        )
        if ran.pause is not None:
            return ran
        said = _returned(ctx, inputs, title, ran.output.get("content", ""))
    return NodeResult(
        output={**ran.output, **said.output},
        state=said.state,
        messages=said.messages,
        usage=ran.usage,
        reasoning=said.reasoning,
    )


def _asked(inputs: Inputs) -> str:
    """The question of the run if nothing else is chosen; what a node said is looked up by the node that is built."""
    chosen = values.text(inputs, "seqExecuteFlowInput").strip()
    inner = chosen.removeprefix("{{").removesuffix("}}").strip().removeprefix("$")
    if inner in ("", "userQuestion", "question"):
        return ""
    return f"{{{{ {inner} }}}}" if chosen.startswith("{{") else chosen


def _returned(ctx: NodeContext, inputs: Inputs, title: str, value: Any) -> NodeResult:
    """A result as the words of the user or of an assistant, or as state."""
    kind = values.text(inputs, "returnValueAs", "aiMessage")
    if kind == AS_STATE:
        given = _plain(value)
        if not isinstance(given, Mapping):
            raise NodeInputError("It is to change the state, so it must give an object of keys and values.")
        state = merging(inputs, given)
        return NodeResult(
            output={"content": members.last_words(ctx)},
            state=state,
            reasoning=members.reasoning(ctx, title, [], state=members.shown_updates(state)),
        )
    if not isinstance(value, str):
        raise NodeInputError(f"It must give a text, not {as_text(value)[:80]}.")
    return NodeResult(
        output={"content": value},
        messages=(Message("user" if kind == AS_HUMAN else "assistant", value, name=members.speaker(title)),),
        reasoning=members.reasoning(ctx, title, [value]),
    )


def _plain(value: Any) -> Any:
    """Text that is a JSON object as that object; anything else as it is."""
    if isinstance(value, str) and value.strip().startswith("{"):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


NODES = (NodeType(FUNCTION, run_function), NodeType(EXECUTE_FLOW, run_execute_flow))
