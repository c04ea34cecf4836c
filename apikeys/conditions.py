"""Under which conditions a key is good: until when, on which servers, from which pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from forjinn.core.errors import Forbidden

ORIGIN = re.compile(r"(https?)://((?:[a-z0-9_-]+\.)*[a-z0-9_-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?/?")
LONGEST_ORIGIN = 300  # characters
USUAL_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a call has to meet beside having the key; None: anything will do.

    `origins` are of pages, as `read_origin` gives them; `environments` are names that servers go by.
    """

    expires_at: datetime | None = None
    environments: frozenset[str] | None = None
    origins: frozenset[str] | None = None

    @property
    def is_over(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def check(self, origin: str) -> None:
        """Raises Forbidden on another server than they name, and for another page (the call's `Origin`) or none."""
        if self.environments is not None and settings.ENVIRONMENT not in self.environments:
            named = ", ".join(sorted(self.environments))
            raise Forbidden(f"This API key is for servers of {named}; this one is {settings.ENVIRONMENT}")
        if self.origins is not None and read_origin(origin) not in self.origins:
            raise Forbidden("This API key is for pages of the origins that it lists, and the Origin header names none")


def read_origin(text: str) -> str | None:
    """An origin as it is compared: lower case, the scheme's own port left out. None for what is no web origin."""
    found = ORIGIN.fullmatch(text.lower()) if len(text) <= LONGEST_ORIGIN else None
    if found is None:
        return None
    scheme, host, port = found.groups()
    is_usual = port is None or port == USUAL_PORTS[scheme]
    return f"{scheme}://{host}" if is_usual else f"{scheme}://{host}:{port}"
