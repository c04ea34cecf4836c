"""Prompt templates: text with {variables}, filled in just before a model is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.errors import NodeInputError
from engine.providers.base import Message, Role
from engine.templating import as_text

# A doubled brace stands for a brace; what quotes or line breaks stand in is JSON or code, not a variable.
TOKEN = re.compile(r"\{\{|\}\}|\{([^{}\"'\n]+)\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages with variables in them. `values` are those that are known already."""

    parts: tuple[tuple[Role, str], ...]
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def variables(self) -> list[str]:
        """Names of the variables, each once, in order."""
        names = (found[1].strip() for _, template in self.parts for found in TOKEN.finditer(template) if found[1])
        return list(dict.fromkeys(names))

    def fill(self, question: str, **known: Any) -> list[Message]:
        """The messages. The one variable that has no value takes the question.

        Raises NodeInputError if several have none.
        """
        values = {**known, **self.values}
        missing = [name for name in self.variables if name not in values]
        if len(missing) > 1:
            raise NodeInputError(
                f"The prompt has no values for {', '.join(missing)}. Give all but one of them under 'promptValues' "
                "(the last takes the question), and write {{ and }} where braces are meant."
            )
        values.update(dict.fromkeys(missing, question))
        return [Message(role, fill_in(template, values)) for role, template in self.parts]

    def followed_by(self, text: str) -> Prompt:
        """This prompt with fixed text on a line of its own at the end."""
        *first, (role, template) = self.parts
        return replace(self, parts=(*first, (role, f"{template}\n{escape(text)}")))


def fill_in(template: str, values: Mapping[str, Any]) -> str:
    """The template with its variables replaced, in one pass: values are never searched for variables again."""

    def put(found: re.Match[str]) -> str:
        return as_text(values[found[1].strip()]) if found[1] else found[0][0]

    return TOKEN.sub(put, template)


def escape(text: str) -> str:
    """Text that a template gives back as it is."""
    return text.replace("{", "{{").replace("}", "}}")
