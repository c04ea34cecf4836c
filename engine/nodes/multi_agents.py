"""Supervisors and their workers: one model says who acts next, until the work is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.context import NodeContext
from engine.errors import NodeError
from engine.memories import Memory
from engine.moderation import MODERATION, judge_all, moderations_in
from engine.nodes import members, values
from engine.nodes.agent_loop import FunctionCalling, named_tools, run_agent
from engine.nodes.conversations import explained, shown_messages
from engine.providers.base import ChatModel, Completion, Message, ToolSpec, Usage
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

CATEGORY = "Multi Agents"
MAX_ROUNDS = 15
FINISH = "FINISH"
ROUTE = "route"
PROMPT = """You are a supervisor tasked with managing a conversation between the following workers: {team_members}.
Given the following user request, respond with the worker to act next.
Each worker will perform a task and respond with their results and status.
When finished, respond with FINISH.
Select strategically to minimize the number of steps taken."""
NEXT = (
    "Given the conversation above, who should act next? Or should we FINISH? Select one of: {options}. "
    "Use the {route} tool in your response."
)
TEAM = (
    "\nWork autonomously according to your specialty, using the tools available to you. Do not ask for clarification. "
    "Your other team members (and other teams) will collaborate with you with their own specialties. You are chosen "
    "for a reason! You are one of the following team members: {team_members}."
)
SUMMARISE = "Given the above conversations, reasonings and instructions, generate a final summarized answer."

SUPERVISOR = NodeSpec(
    name="supervisor",
    label="Supervisor",
    version=3,
    category=CATEGORY,
    base_classes=("Supervisor",),
    help="Says which worker acts next, and when the work is done.",
    params=(
        Param("supervisorName", "string", "Supervisor Name", default="Supervisor", help="What it is called."),
        Param(
            "supervisorPrompt",
            "string",
            "Supervisor Prompt",
            default=PROMPT,
            optional=True,
            help="Who it is to be; {team_members} stands for the workers.",
        ),
        Param(
            "model", "BaseChatModel", "Tool Calling Chat Model", help="Of the supervisor, and of workers without one."
        ),
        Param("agentMemory", "BaseCheckpointSaver", "Agent Memory", optional=True, help="Remembers the conversation."),
        Param("summarization", "boolean", "Summarization", optional=True, help="Answer with a summary of all results."),
        Param(
            "recursionLimit",
            "number",
            "Recursion Limit",
            default=100,
            optional=True,
            help="How many turns the supervisor and its workers may take together.",
        ),
        MODERATION,
    ),
    role="member",
    is_decision=True,
)
WORKER = NodeSpec(
    name="worker",
    label="Worker",
    version=2,
    category=CATEGORY,
    base_classes=("Worker",),
    help="Does what the supervisor tells it to do.",
    params=(
        Param("workerName", "string", "Worker Name", help="What it is called."),
        Param("workerPrompt", "string", "Worker Prompt", optional=True, help="Who it is to be."),
        Param("tools", "Tool", "Tools", optional=True, is_list=True, help="What it may use."),
        Param("supervisor", "Supervisor", "Supervisor", help="Whom it works for."),
        Param(
            "model", "BaseChatModel", "Tool Calling Chat Model", optional=True, help="Another than the supervisor's."
        ),
        Param(
            "promptValues",
            "json",
            "Format Prompt Values",
            optional=True,
            variables=True,
            help="What each {variable} of the prompt stands for.",
        ),
        Param("maxIterations", "number", "Max Iterations", optional=True, help=f"{MAX_ROUNDS} unless given."),
    ),
    role="member",
)


async def run_supervisor(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Choose the worker that acts next. When the work is done, what the supervisor says itself is the answer; if it is
    silent, what the last worker said.

    A question that a moderation refuses is not worked on. Raises NodeError for a model that chooses a worker that does
    not exist, and keeps to it.
    """
    title = members.title_in(ctx, inputs, "supervisorName")
    with explained(f"Error in {title}"):
        opening: tuple[Message, ...] = ()
        if not ctx.messages:
            verdict = await judge_all(moderations_in(inputs), ctx.request.question)
            if verdict.refusal:
                return NodeResult(output={"content": verdict.refusal}, usage=verdict.usage, taken=frozenset())
            opening = await _opening(ctx, inputs)
        conversation = [*opening, *ctx.messages]
        workers = [str(way["name"]) for way in inputs.get("ways") or ()]
        asked = _question(inputs, conversation, workers)
        completion, chosen = await _choose(members.chat_model(inputs), asked, workers)
        following, instructions = str(chosen.get("next", FINISH)), str(chosen.get("instructions") or "")
        if following in workers:
            return _delegated(ctx, inputs, title, opening, asked, completion, following, instructions)
        return await _finished(ctx, inputs, title, opening, conversation, completion, instructions)


async def _opening(ctx: NodeContext, inputs: Inputs) -> tuple[Message, ...]:
    earlier: Sequence[Message] = ctx.request.history
    if isinstance(memory := inputs.get("agentMemory"), Memory):
        earlier = await memory.load()
    return (*earlier, Message("user", ctx.request.question, images=ctx.request.images))


def _question(inputs: Inputs, conversation: Sequence[Message], workers: Sequence[str]) -> list[Message]:
    prompt = values.text(inputs, "supervisorPrompt", PROMPT).replace("{team_members}", ", ".join(workers))
    human = NEXT.format(options=", ".join((FINISH, *workers)), route=ROUTE)
    return [Message("system", prompt), *conversation, Message("user", human)]


async def _choose(
    model: ChatModel, asked: Sequence[Message], workers: Sequence[str]
) -> tuple[Completion, Mapping[str, Any]]:
    """What the model said, all its tokens counted, and the arguments of its call; none if it answered by itself."""
    messages, usage = list(asked), Usage()
    for _ in range(2):
        completion = await model.complete(messages, tools=[_route(workers)])
        usage += completion.usage
        if not completion.tool_calls:
            return Completion(completion.text, usage=usage), {}
        call = completion.tool_calls[0]
        if call.arguments.get("next") in (FINISH, *workers):
            return Completion(completion.text, usage=usage), call.arguments
        known = ", ".join((FINISH, *workers))
        wrong = f"{call.arguments.get('next')!r} cannot act next; choose one of: {known}."
        messages += [
            Message("assistant", completion.text, tool_calls=completion.tool_calls, original=completion.original),
            *(Message("tool", wrong, name=call.name, tool_call_id=call.id) for call in completion.tool_calls),
        ]
    raise NodeError(f"The model chose {wrong}")


def _route(workers: Sequence[str]) -> ToolSpec:
    properties = {
        "reasoning": {"type": "string"},
        "next": {"type": "string", "enum": [FINISH, *workers]},
        "instructions": {
            "type": "string",
            "description": "The specific instructions of the sub-task the next role should accomplish.",
        },
    }
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return ToolSpec(ROUTE, "Select the worker to act next", schema)


def _delegated(
    ctx: NodeContext,
    inputs: Inputs,
    title: str,
    opening: tuple[Message, ...],
    asked: Sequence[Message],
    completion: Completion,
    following: str,
    instructions: str,
) -> NodeResult:
    index, way = next((i, way) for i, way in enumerate(inputs["ways"]) if way["name"] == following)
    return NodeResult(
        output={"content": members.last_words(ctx), "next": following, "instructions": instructions},
        input={"messages": shown_messages(asked)},
        state={"next": following, "instructions": instructions},
        messages=opening,
        usage=completion.usage,
        taken=frozenset({index}),
        reasoning=members.reasoning(ctx, title, [], next=way["next"], instructions=instructions),
        next_agent=way["next"],
    )


async def _finished(
    ctx: NodeContext,
    inputs: Inputs,
    title: str,
    opening: tuple[Message, ...],
    conversation: Sequence[Message],
    completion: Completion,
    instructions: str,
) -> NodeResult:
    answer, usage = completion.text, completion.usage
    nobody_worked = not ctx.runs
    if values.flag(inputs, "summarization") or (nobody_worked and not answer.strip()):
        prompt = () if nobody_worked else (Message("user", SUMMARISE),)
        said = await members.chat_model(inputs).complete([*conversation, *prompt])
        answer, usage = said.text, usage + said.usage
    own = answer if answer.strip() else ""
    return NodeResult(
        output={"content": own or members.last_words(ctx) or instructions, "next": FINISH},
        state={"next": FINISH, "instructions": instructions},
        messages=(*opening, *([Message("assistant", own, name=members.speaker(title))] if own else ())),
        usage=usage,
        taken=frozenset(),
        reasoning=members.reasoning(ctx, title, [own] if own else [], next=FINISH, instructions=instructions),
    )


async def run_worker(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Work until there is an answer, then let the supervisor go on.

    Raises NodeInputError for a prompt without values.
    """
    title = members.title_in(ctx, inputs, "workerName")
    with explained(f"Error in {title}"):
        tools = named_tools(inputs.get("tools") or ())
        talk = FunctionCalling(members.chat_model(inputs), tools)
        messages = _work(ctx, inputs)
        rounds = values.integer(inputs, "maxIterations") or MAX_ROUNDS
        run = await run_agent(ctx, talk, tools, messages, max_rounds=rounds)
    sources, artifacts = members.sources_of(run.used), members.sources_of(run.used, "artifacts")
    return NodeResult(
        output={"content": run.answer, "usedTools": run.used, "sourceDocuments": sources, "artifacts": artifacts},
        input={"messages": shown_messages(messages)},
        messages=(Message("user", run.answer, name=str(inputs.get("name") or members.speaker(title))),),
        usage=run.usage,
        jump_to=values.text(inputs, "target"),
        reasoning=members.reasoning(
            ctx, title, [run.answer], usedTools=run.used, sourceDocuments=sources, artifacts=artifacts
        ),
    )


def _work(ctx: NodeContext, inputs: Inputs) -> list[Message]:
    """All that was said in the team, and behind it what the supervisor wants of this worker alone."""
    (prompt,) = members.filled(ctx, inputs, "workerPrompt")
    team = TEAM.replace("{team_members}", ", ".join(inputs.get("team") or ()))
    instructions = str(ctx.state.get("instructions") or "")
    return [
        Message("system", prompt + team),
        *ctx.messages,
        *([Message("user", instructions, name="supervisor")] if instructions else ()),
    ]


NODES = (NodeType(SUPERVISOR, run_supervisor), NodeType(WORKER, run_worker))
