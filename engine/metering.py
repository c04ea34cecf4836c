"""What models cost: each call of a chat model counts for its node and against the run's bound, wherever it is made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from engine.budget import Budget
from engine.errors import ProviderError
from engine.providers.base import ChatModel, Completion, Message, ModelChunk, ToolSpec, Usage
from engine.spec import NodeResult


class Meter:
    """Counts the tokens of the chat models that are asked inside its `with`, also by tasks that are begun there: by a
    node, its tools, its memory. A meter around it counts them, too.
    """

    __slots__ = ("_outer", "_token", "usage")

    def __init__(self) -> None:
        self.usage = Usage()

    def __enter__(self) -> Meter:
        self._outer = _meter.get()
        self._token = _meter.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _meter.reset(self._token)
        if self._outer is not None:
            self._outer.usage += self.usage

    def with_told(self, told: Usage) -> Usage:
        """All that a turn cost. What the node itself tells of is counted here already, unless it asked a service that
        is no chat model.
        """
        counted = self.usage
        return Usage(max(counted.input_tokens, told.input_tokens), max(counted.output_tokens, told.output_tokens))


_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


class MeteredChatModel:
    """A chat model of one run; implements `ChatModel`. Its failures say whose they are.

    Its calls raise RunLimitExceeded when the run has used up its tokens: before a call, and after the one that goes
    beyond the bound; and BudgetExceeded before a call that nobody pays for. A vendor that reports no usage costs
    nothing here.
    """

    def __init__(self, model: ChatModel, budget: Budget) -> None:
        self.model_name = model.model_name
        self.streaming = model.streaming
        self._model = model
        self._budget = budget

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        stop: Sequence[str] = (),
    ) -> Completion:
        """See `ChatModel.complete`."""
        await self._check()
        try:
            completion = await self._model.complete(messages, tools=tools, schema=schema, stop=stop)
        except ProviderError as exc:
            exc.model_name = self.model_name
            raise
        await self._count(completion)
        return completion

    async def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), stop: Sequence[str] = ()
    ) -> AsyncIterator[ModelChunk]:
        """See `ChatModel.stream`."""
        await self._check()
        try:
            async for chunk in self._model.stream(messages, tools=tools, stop=stop):
                if isinstance(chunk, Completion):
                    await self._count(chunk)
                yield chunk
        except ProviderError as exc:
            exc.model_name = self.model_name
            raise

    async def _check(self) -> None:
        self._budget.check_tokens()
        if self._budget.account is not None:
            await self._budget.account.check()

    async def _count(self, completion: Completion) -> None:
        if (meter := _meter.get()) is not None:
            meter.usage += completion.usage
        if self._budget.account is not None:
            await self._budget.account.spend(self.model_name, completion.usage)
        self._budget.spend_tokens(completion.usage.total_tokens)


def metered(result: NodeResult, budget: Budget) -> NodeResult:
    """What a component was built to; if it is a chat model, one whose calls count."""
    model = result.value
    if isinstance(model, MeteredChatModel) or not isinstance(model, ChatModel):
        return result
    return replace(result, value=MeteredChatModel(model, budget))
