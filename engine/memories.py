"""What a conversation remembers: a view of the session's stored messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.context import History
from engine.providers.base import Message


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
