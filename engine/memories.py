"""What a conversation remembers: a view of the session's stored messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.context import History
from engine.providers.base import ChatModel, Message
from engine.recall import summary_buffer


@dataclass(frozen=True, slots=True)
class Memory:
    """The newest `last` messages of a session, those that came with the request before the stored ones."""

    history: History
    given: Sequence[Message] = ()  # came with the request
    last: int = 200
    session_id: str | None = None  # None: the run's own session
    key: str = "chat_history"  # the prompt variable that takes it

    async def load(self) -> list[Message]:
        """Oldest first."""
        if self.last <= 0:
            return []
        stored = await self.history.load(last=self.last, session_id=self.session_id)
        return [*self.given, *stored][-self.last :]


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryMemory(Memory):
    """A memory that a model sums up: whatever is older than the newest `token_limit` tokens; with 0, everything."""

    model: ChatModel
    token_limit: int = 0

    async def load(self) -> list[Message]:
        """See `Memory.load`. The summary is the first message."""
        # Named by class: a dataclass with slots is made anew, and `super()` would look for the one before.
        earlier = await Memory.load(self)
        # As a user's message: there is a system message before it, and several vendors take one only.
        recalled = await summary_buffer(self.model, earlier, (), token_limit=self.token_limit, has_system=True)
        return list(recalled.messages)
