"""What models cost a run: each call of a chat model counts against the run's bound on tokens, wherever it is made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.budget import Budget
from engine.errors import ProviderError
from engine.providers.base import ChatModel, Completion, Message, ModelChunk, ToolSpec
from engine.spec import NodeResult


class MeteredChatModel:
    """A chat model of one run; implements `ChatModel`. Its failures say whose they are.

    Its calls raise RunLimitExceeded when the run has used up its tokens: before a call, and after the one that goes
    beyond the bound. A vendor that reports no usage costs nothing here.
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
        self._budget.check_tokens()
        try:
            completion = await self._model.complete(messages, tools=tools, schema=schema, stop=stop)
        except ProviderError as exc:
            exc.model_name = self.model_name
            raise
        self._budget.spend_tokens(completion.usage.total_tokens)
        return completion

    async def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), stop: Sequence[str] = ()
    ) -> AsyncIterator[ModelChunk]:
        """See `ChatModel.stream`."""
        self._budget.check_tokens()
        try:
            async for chunk in self._model.stream(messages, tools=tools, stop=stop):
                if isinstance(chunk, Completion):
                    self._budget.spend_tokens(chunk.usage.total_tokens)
                yield chunk
        except ProviderError as exc:
            exc.model_name = self.model_name
            raise


def metered(result: NodeResult, budget: Budget) -> NodeResult:
    """What a component was built to; if it is a chat model, one whose calls count."""
    model = result.value
    if isinstance(model, MeteredChatModel) or not isinstance(model, ChatModel):
        return result
    return replace(result, value=MeteredChatModel(model, budget))
