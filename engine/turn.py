"""One turn of a node: its context, what it says meanwhile, and the border at which its failures become values."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from engine.budget import Budget
from engine.context import NodeContext, RunRequest, World
from engine.encoding import encode
from engine.errors import EngineError, NodeError, NodeInputError, NodeTimeout, ProviderError
from engine.events import (
    Event,
    NodeStarted,
    ThinkingEmitted,
    TokenEmitted,
    ToolsCalled,
    ToolsUsed,
)
from engine.feed import Feed, Sink
from engine.flow import Node
from engine.inner import Inner
from engine.metering import Meter, metered
from engine.plan import Plan, Step, asked_model, resolved_config
from engine.providers.base import ChatModel
from engine.retry import NONE, Fallback, timed, tried
from engine.scope import SCOPES
from engine.spec import NodeResult
from engine.state import RunState
from engine.templating import agentflow_text, classic_text, compile_value, resolve
from engine.trace import shown_inputs, without_secrets

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Running:
    """What the turns of one run share."""

    plan: Plan
    request: RunRequest
    world: World
    state: RunState
    budget: Budget
    work: Callable[[Running], Awaitable[None]]  # runs an inner run to its end
    answer: Mapping[str, Any] | None = None
    feed: Sink = field(default_factory=Feed)
    said: list[str] = field(default_factory=list)  # tokens that have been emitted
    has_past: bool = False  # the stored conversation is in the state already


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended: with a result or with an error."""

    result: NodeResult
    shown: Any  # what the trace shows as the node's input
    started_s: float  # since the epoch
    duration_s: float
    error: EngineError | None = None
    warnings: Sequence[str] = ()

    def output(self) -> Mapping[str, Any]:
        """What the trace and references see. A node that asked a model also says how long that took, and how much."""
        usage = self.result.usage
        if not usage.total_tokens:
            return self.result.output
        start, delta = int(self.started_s * 1000), round(self.duration_s * 1000)
        tokens = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        return {
            "timeMetadata": {"start": start, "end": start + delta, "delta": delta},
            "usageMetadata": {**tokens, "total_tokens": usage.total_tokens},
            **self.result.output,
        }


class Turn:
    """What it says before it is due is kept until `begin`, so observers see one node after the other."""

    __slots__ = ("_context", "_inputs", "_is_due", "_kept", "_run", "_scope", "_started", "_warnings", "step")

    def __init__(self, run: Running, step: Step) -> None:
        self.step = step
        self._run = run
        self._started = (0.0, 0.0)  # since the epoch, and as a monotonic time
        self._inputs: Mapping[str, Any] = {}
        self._scope = SCOPES[run.plan.flow.kind](run.request, run.world, run.state)
        self._is_due = False
        self._warnings: list[str] = []
        self._kept: list[tuple[type[Event], tuple[Any, ...]]] = []
        state, node = run.state, step.node
        self._context = NodeContext(
            node=node,
            request=run.request,
            world=run.world,
            is_last=step.is_last,
            state=dict(state.values),
            messages=tuple(state.messages),
            past=state.past,
            emit_token=self._say,
            emit_thinking=self._think,
            emit_tools_called=self._call_tools,
            emit_tools_used=self._use_tools,
            build=self._build,
            resolve=self._resolve,
            inner=Inner(run, node, self._emit),
            runs=state.runs.get(node.id, 0),
            answer=run.answer if node.id == state.paused_at else None,
            kept=state.kept if node.id == state.paused_at else None,
        )

    def begin(self) -> None:
        """It is this node's turn: from now on what it says is heard at once."""
        self._is_due = True
        node = self.step.node
        self._run.feed.put(NodeStarted, node.id, node.label)
        for kind, fields in self._kept:
            self._release(kind, fields)
        self._kept.clear()

    async def take(self) -> Outcome:
        """Run the node. Never raises but for cancellation."""
        self._started = (self._run.world.clock.now(), self._run.world.clock.monotonic())
        try:
            with Meter() as meter:
                await self._build_parts()
                self._inputs = self.step.inputs(self._scope)
                result = self._counted(await self._take(self._inputs))
            if meter.usage.total_tokens:
                result = replace(result, usage=meter.with_told(result.usage))
        except EngineError as exc:
            return self._outcome(NodeResult(), exc)
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled this run: the node let a cancellation of its own escape.
            return self._outcome(NodeResult(), self._broke(exc))
        except Exception as exc:
            # The border where nothing may be lost: a broken node type ends its own run and no other.
            return self._outcome(NodeResult(), self._broke(exc))
        return self._outcome(result)

    def _counted(self, result: NodeResult) -> NodeResult:
        """The result once its size is spent. What JSON does not know is made plain, so whatever reads it can."""
        if not result.output:
            return result
        try:
            encoded = orjson.dumps(result.output)
        except TypeError:
            encoded = encode(result.output)
            result = replace(result, output=orjson.loads(encoded))
        self._run.budget.spend(len(encoded))
        return result

    async def _build_parts(self) -> None:
        """Build what is connected to the node, each once a run."""
        instances = self._run.state.instances
        for part in self.step.parts:
            if part.node.id in instances:
                continue
            try:
                result = await part.type.run(
                    replace(self._context, node=part.node, is_last=False), part.inputs(self._scope)
                )
            except NodeError as exc:
                exc.within(part.node.label)
                raise
            instances.setdefault(part.node.id, metered(result, self._run.budget).value)

    def broken_off(self) -> Outcome:
        """The outcome of a turn that was cancelled."""
        return self._outcome(NodeResult())

    def _outcome(self, result: NodeResult, error: EngineError | None = None) -> Outcome:
        started_s, start = self._started
        return Outcome(
            result=result,
            shown=self._shown(result),
            started_s=started_s,
            duration_s=self._run.world.clock.monotonic() - start,
            error=error,
            warnings=[*self._warnings, *_warnings(self._scope.unresolved)],
        )

    def _broke(self, exc: BaseException) -> NodeError:
        node = self.step.node
        logger.error("node crashed", exc_info=exc, extra={"node_id": node.id, "node_name": node.name})
        return NodeError(
            f"{node.label} broke inside the server ({type(exc).__name__}); the server's log has the details."
        )

    async def _take(self, inputs: Mapping[str, Any]) -> NodeResult:
        policy, world = self.step.policy, self._run.world
        if policy is NONE:
            return await self._run_once(inputs)
        attempt = tried(
            lambda: self._run_once(inputs),
            policy,
            clock=world.clock,
            rng=world.random,
            may_repeat=lambda: self._context.is_repeatable,
        )
        if policy.fallback is None:
            return await attempt
        try:
            return await attempt
        except (ProviderError, NodeTimeout) as exc:
            # A vendor of something else than models fails again, whoever is asked.
            is_the_models = isinstance(exc, NodeTimeout) or bool(exc.model_name)
            if not is_the_models or not self._context.is_repeatable:
                raise
            self._inputs = await self._with_fallback(policy.fallback, inputs, exc)
        return await timed(lambda: self._run_once(self._inputs), policy.timeout_s)

    async def _with_fallback(
        self, fallback: Fallback, inputs: Mapping[str, Any], failure: ProviderError | NodeTimeout
    ) -> Mapping[str, Any]:
        """The inputs with the other model. Raises the failure itself if that cannot be built."""
        param = asked_model(self.step.spec)
        own = inputs[param]
        name = getattr(failure, "model_name", "") or (own.model_name if isinstance(own, ChatModel) else str(own))
        try:
            model = (await self._build(fallback.name, fallback.config)).value
            if not isinstance(model, ChatModel):
                raise NodeInputError("it is no chat model")
        except NodeError as exc:
            self._warnings.append(f"{name} failed, and {fallback.name} could not stand in: {exc.message}")
            raise failure from exc
        self._warnings.append(f"{name} failed, so {model.model_name} was asked instead: {failure.message}")
        if isinstance(own, ChatModel):
            return {**inputs, param: model}
        return {**inputs, param: fallback.name, f"{param}Config": fallback.config}

    async def _run_once(self, inputs: Mapping[str, Any]) -> NodeResult:
        result = await self.step.type.run(self._context, inputs)
        # Only components build models; to ask every other node for one would cost each of them time.
        return metered(result, self._run.budget) if self.step.spec.role == "component" else result

    def _shown(self, result: NodeResult) -> Any:
        secrets = self._run.plan.registry.secrets
        if result.input is not None:
            return without_secrets(result.input, secrets)
        return shown_inputs(self.step, self._inputs, secrets)

    def _emit(self, kind: type[Event], *fields: Any) -> None:
        if self._is_due:
            self._release(kind, fields)
        else:
            self._kept.append((kind, fields))

    def _release(self, kind: type[Event], fields: tuple[Any, ...]) -> None:
        self._run.feed.put(kind, *fields)
        if kind is TokenEmitted:
            self._run.said.append(fields[1])

    def _say(self, text: str) -> None:
        self._context.is_repeatable = False
        self._run.budget.spend(len(text))
        self._emit(TokenEmitted, self.step.node.id, text)

    def _think(self, text: str, duration_s: float | None) -> None:
        self._context.is_repeatable = False
        self._run.budget.spend(len(text))
        self._emit(ThinkingEmitted, self.step.node.id, text, duration_s)

    def _call_tools(self, calls: Sequence[Mapping[str, Any]]) -> None:
        self._emit(ToolsCalled, self.step.node.id, tuple(calls))

    def _use_tools(self, tools: Sequence[Mapping[str, Any]]) -> None:
        self._emit(ToolsUsed, self.step.node.id, tuple(tools))

    def _resolve(self, value: Any) -> Any:
        return resolve(
            compile_value(value, agentflow_text if self._run.plan.flow.kind == "AGENTFLOW" else _classic_text),
            self._scope,
        )

    async def _build(self, name: str, config: Mapping[str, Any]) -> NodeResult:
        node_type = self._run.plan.registry.get(name)
        if node_type is None:
            raise NodeInputError(f"{self.step.node.label} uses {name!r}, which is not installed here.")
        own = self.step.node
        inputs = resolved_config(node_type.spec, config, self._scope)
        node = Node(own.id, node_type.spec.label, name, node_type.spec.version, node_type.spec.category, inputs)
        result = await node_type.run(replace(self._context, node=node, is_last=False), inputs)
        return metered(result, self._run.budget)


def _classic_text(text: str) -> Any:
    return classic_text(text, accepts_variables=True, is_json=False)


def _warnings(unresolved: Sequence[str]) -> list[str]:
    return [f"{text} stands for nothing here and was left as it is." for text in dict.fromkeys(unresolved)]
