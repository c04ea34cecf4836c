"""Keeps the secrets that a run has used out of whatever it tells: servers repeat what they were sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from engine.credentials import Secret
from engine.events import Event

HIDDEN = "[secret]"


class Redactor:
    """What one run's credentials hold, and its events without it. Costs nothing until a credential is opened.

    A secret that a model spells out in pieces is found in its whole answer, not in the pieces.
    """

    def __init__(self) -> None:
        self._values: tuple[str, ...] = ()
        self._entry: tuple[Any, Any] = (None, None)  # that was cleaned last, and what became of it

    def learn(self, secret: Secret) -> None:
        """A credential has been opened."""
        # The longest first: one may be a part of another.
        self._values = tuple(sorted({*self._values, *secret.hidden}, key=len, reverse=True))

    def event(self, event: Event) -> Event:
        """The event, or one like it in which no secret is. The same entry of a trace stays the same object."""
        if not self._values:
            return event
        cleaned = {field.name: self._field(getattr(event, field.name)) for field in fields(event)}
        changed = {name: value for name, value in cleaned.items() if value is not getattr(event, name)}
        return replace(event, **changed) if changed else event

    def text(self, text: str) -> str:
        for value in self._values:
            if value in text:
                text = text.replace(value, HIDDEN)
        return text

    def _field(self, value: Any) -> Any:
        # A node's entry comes by two events, and whoever keeps the journal knows it again.
        if value is self._entry[0] and value is not None:
            return self._entry[1]
        cleaned = self._cleaned(value)
        if cleaned is not value and isinstance(value, Mapping):
            self._entry = (value, cleaned)
        return cleaned

    def _cleaned(self, value: Any) -> Any:
        """The value itself where nothing has to go: most of what is told is long and clean."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            items = {key: self._cleaned(item) for key, item in value.items()}
            return items if any(items[key] is not item for key, item in value.items()) else value
        if isinstance(value, list | tuple):
            members = [self._cleaned(item) for item in value]
            return members if any(new is not old for new, old in zip(members, value, strict=True)) else value
        return value
