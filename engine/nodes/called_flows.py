"""Flows that call flows: as a step of an agent flow, and as a tool of an agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from yarl import URL

from engine.context import CalledFlow, InnerPause, InnerRun, NodeContext, RunRequest
from engine.errors import EngineError, FlowError, NodeError, NodeInputError, RunLimitExceeded
from engine.nodes import conversations, values
from engine.providers.base import Usage
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param, Pause
from engine.tools import text_tool, tool_name

PREFIX = "executeFlow"
MOST_CALLERS = 5
TAKEN_OVER = ("sourceDocuments", "usedTools", "artifacts", "fileAnnotations")

CREDENTIAL = Param("credential", "credential", "Connect Credential", optional=True)
EXECUTE_FLOW = NodeSpec(
    name="executeFlowAgentflow",
    label="Execute Flow",
    version=1.2,
    category="Agent Flows",
    base_classes=("ExecuteFlow",),
    help="Runs another flow.",
    params=(
        CREDENTIAL,
        Param("executeFlowSelectedFlow", "asyncOptions", "Select Flow", help="Which flow of this workspace."),
        Param("executeFlowInput", "string", "Input", optional=True, variables=True, help="What it is asked."),
        Param(
            "executeFlowOverrideConfig",
            "json",
            "Override Config",
            optional=True,
            variables=True,
            help="Inputs of its nodes by name, sessionId, startState and vars; nothing else of it is changed.",
        ),
        Param(
            "executeFlowBaseURL",
            "string",
            "Base URL",
            optional=True,
            help="Left empty: flows of other servers are not called.",
        ),
        Param(
            "executeFlowReturnResponseAs",
            "options",
            "Return Response As",
            default="userMessage",
            options=("userMessage", "assistantMessage"),
            help="Whose words the answer is to the nodes that follow.",
        ),
        conversations.state_param(PREFIX),
    ),
    credentials=("chatflowApi",),
)
FLOW_TOOL = NodeSpec(
    name="chatflowTool",
    label="Chatflow Tool",
    version=5.1,
    category="Tools",
    base_classes=("ChatflowTool", "Tool", "StructuredTool", "Runnable"),
    help="Lets an agent ask another flow.",
    params=(
        CREDENTIAL,
        Param("selectedChatflow", "asyncOptions", "Select Chatflow", help="Which flow of this workspace."),
        Param("name", "string", "Tool Name", help="Its name for the model."),
        Param("description", "string", "Tool Description", optional=True, help="When the model is to use it."),
        Param("returnDirect", "boolean", "Return Direct", optional=True, help="Its answer is the agent's answer."),
        Param("overrideConfig", "json", "Override Config", optional=True, help="Inputs of its nodes by name."),
        Param("baseURL", "string", "Base URL", optional=True, help="Left empty: only this server's flows are called."),
        Param(
            "startNewSessionPerMessage",
            "boolean",
            "Start new session per message",
            optional=True,
            help="Ask it as somebody who was never there before.",
        ),
        Param(
            "useQuestionFromChat",
            "boolean",
            "Use Question from Chat",
            optional=True,
            help="Ask it what the user asked, whatever the model says.",
        ),
        Param("customInput", "string", "Custom Input", optional=True, variables=True, help="Ask it this instead."),
    ),
    credentials=("chatflowApi",),
    role="component",
)


async def run_execute_flow(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Ask another flow of the workspace, in the same conversation; if it waits for a person, so does this node.

    Raises NodeInputError for a flow that cannot be called from here, NodeError if it fails.
    """
    _check_here(values.text(inputs, "executeFlowBaseURL"))
    question = values.text(inputs, "executeFlowInput", ctx.request.question)
    overrides = _overrides(inputs, "executeFlowOverrideConfig")
    called, request = await _prepared(ctx, values.text(inputs, "executeFlowSelectedFlow"), question, overrides)
    run = await _run(ctx, called, request, overrides, answer=ctx.answer)
    if run.pause is not None:
        return _waiting(ctx, called, run, run.pause)
    content = _text(run)
    if content and ctx.streams:
        ctx.emit_token(content)
    opening = () if ctx.messages else conversations.user_input(ctx)
    return NodeResult(
        output={
            "content": content,
            **{name: run.output[name] for name in TAKEN_OVER if run.output.get(name)},
            **({"warnings": list(run.warnings)} if run.warnings else {}),
        },
        state=conversations.state_updates(inputs, PREFIX),
        messages=conversations.run_messages(ctx, inputs, PREFIX, conversations.Turn((), opening, Usage()), content),
        usage=run.usage,
    )


async def run_flow_tool(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """A tool that puts its input to another flow. Raises NodeInputError for a flow of another server."""
    _check_here(values.text(inputs, "baseURL"))
    overrides = _overrides(inputs, "overrideConfig")
    flow_id = values.text(inputs, "selectedChatflow")
    fixed = values.text(inputs, "customInput")
    if values.flag(inputs, "useQuestionFromChat"):
        fixed = ctx.request.question
    is_new_session = values.flag(inputs, "startNewSessionPerMessage")

    async def put(question: str) -> str:
        new = {"sessionId": str(UUID(int=ctx.world.random.getrandbits(128), version=4))} if is_new_session else {}
        called, request = await _prepared(ctx, flow_id, fixed or question, {**overrides, **new})
        run = await _run(ctx, called, request, overrides)
        if run.pause is not None:
            raise NodeError(f"{called.name!r} waits for a person, which a tool cannot do: call it by Execute Flow.")
        return _text(run)

    name = tool_name(values.text(inputs, "name", "chatflow"))
    description = values.text(inputs, "description", "Asks another flow.")
    return NodeResult(value=text_tool(name, description, put, return_direct=values.flag(inputs, "returnDirect")))


def _check_here(address: str) -> None:
    if address.strip():
        try:
            host = URL(address.strip()).host
        except ValueError:
            host = None
        raise NodeInputError(
            f"It calls a flow of the server {host or address!r}: only flows of this workspace are called. Import that "
            "flow here and empty the Base URL, or call the other server by an HTTP node."
        )


def _overrides(inputs: Inputs, name: str) -> dict[str, Any]:
    given = inputs.get(name)
    if isinstance(given, str) and given.strip():
        try:
            given = values.lenient(given)
        except ValueError as exc:
            raise NodeInputError(f"{name} must be JSON: {exc}") from exc
    return values.mapping({name: given}, name)


async def _prepared(
    ctx: NodeContext, flow_id: str, question: str, overrides: Mapping[str, Any]
) -> tuple[CalledFlow, RunRequest]:
    """The flow, and what it is asked."""
    callers = _callers(ctx, flow_id)
    called = await _loaded(ctx, flow_id)
    if called.id != flow_id:
        callers = _callers(ctx, called.id)  # an id may be written in more ways than one
    asker = ctx.request
    request = RunRequest(
        question,
        chat_id=asker.chat_id,
        session_id=str(overrides.get("sessionId") or asker.session_id),
        chatflow_id=called.id,
        images=asker.images,
        attachment=asker.attachment,
        callers=callers,
    )
    return called, request


def _callers(ctx: NodeContext, flow_id: str) -> tuple[str, ...]:
    """The chain of calls with this flow at its end. Raises NodeInputError for one that is too long, or a circle."""
    own = ctx.request.chatflow_id
    callers = (*ctx.request.callers, own)
    if not flow_id:
        raise NodeInputError("No flow is selected: choose which one is called.")
    if flow_id == own:
        raise NodeInputError("Cannot call the same agentflow!")
    if flow_id in callers:
        circle = " -> ".join((*callers[callers.index(flow_id) :], flow_id))
        raise NodeInputError(f"The flows call each other in a circle: {circle}; let one of them not call the next.")
    if len(callers) > MOST_CALLERS:
        raise NodeInputError(f"Flows may call flows {MOST_CALLERS} deep and no deeper: let one of them do more itself.")
    return callers


async def _loaded(ctx: NodeContext, flow_id: str) -> CalledFlow:
    try:
        return await ctx.world.flows.load(flow_id)
    except FlowError as exc:
        raise NodeError(f"The called flow {flow_id} cannot run: {exc.message}") from exc


async def _run(
    ctx: NodeContext,
    called: CalledFlow,
    request: RunRequest,
    overrides: Mapping[str, Any],
    *,
    answer: Mapping[str, Any] | None = None,
) -> InnerRun:
    """Run it, or let it go on with the answer that it has been waiting for."""
    if answer is not None and ctx.kept["version"] != called.version:
        raise NodeError(f"{called.name!r} was changed while it waited for a person: ask again from the beginning.")
    snapshot = None if answer is None else ctx.kept["snapshot"]
    try:
        run = await ctx.inner.flow(called, request, override=overrides, snapshot=snapshot, answer=answer)
    except RunLimitExceeded:
        raise
    except EngineError as exc:
        raise NodeError(f"The called flow {called.name!r} cannot run: {exc.message}") from exc
    if run.error:
        raise NodeError(f"The called flow {called.name!r} failed: {run.error}")
    return run


def _waiting(ctx: NodeContext, called: CalledFlow, run: InnerRun, pause: InnerPause) -> NodeResult:
    """The called flow's question, asked by this node: answers come to the outermost flow."""
    asked = {**pause.action.get("data", {}), "nodeId": ctx.node.id, "nodeLabel": ctx.node.label}
    action = {**pause.action, "data": asked} if pause.action else {}
    if ctx.request.is_streaming and pause.text:
        ctx.emit_token(pause.text)
    kept = {"version": called.version, "snapshot": pause.snapshot}
    return NodeResult(
        output={"content": pause.text, **({"humanInputAction": action} if action else {})},
        usage=run.usage,
        pause=Pause(pause.text, action, kept, pause.wait),
    )


def _text(run: InnerRun) -> str:
    if run.json is not None:
        return f"```json\n{orjson.dumps(run.json, option=orjson.OPT_INDENT_2).decode()}\n```"
    return run.text


NODES = (NodeType(EXECUTE_FLOW, run_execute_flow), NodeType(FLOW_TOOL, run_flow_tool))
