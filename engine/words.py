"""The words of a name that is written in camel case."""

from __future__ import annotations

import re

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def words_of(name: str) -> list[str]:
    """`baseURL` -> `base`, `URL`; what stands between words is left out."""
    return WORD.findall(name)
