"""Paths into JSON that lead nowhere, whatever they are made of."""

from __future__ import annotations

import pytest

from engine.jsonpath import follow


@pytest.mark.parametrize("path", ["a." * 2000, "[*]" * 2000, "[" + "9" * 5000 + "]", "[" + " " * 50_000 + "x"])
def test_an_endless_path_leads_nowhere(path: str) -> None:
    with pytest.raises(LookupError):
        follow([], path)
