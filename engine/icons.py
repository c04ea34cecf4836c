"""Icons of node types: their initials on their category's colour."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from zlib import crc32

from engine.words import words_of

# The categories that stand beside each other on most canvases, far apart; others get whatever their name gives.
HUES: Mapping[str, int] = {
    "Agent Flows": 210,
    "Agents": 265,
    "Chains": 235,
    "Chat Models": 150,
    "Credentials": 45,
    "Document Loaders": 20,
    "Embeddings": 175,
    "Memory": 325,
    "Multi Agents": 285,
    "Output Parsers": 345,
    "Prompts": 40,
    "Retrievers": 85,
    "Sequential Agents": 300,
    "Text Splitters": 60,
    "Tools": 5,
    "Utilities": 220,
    "Vector Stores": 120,
}
SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" role="img" aria-label="{label}">
<defs><linearGradient id="g" x1="0" y1="0" x2="1" y2="1">
<stop offset="0" stop-color="hsl({hue} 62% 56%)"/><stop offset="1" stop-color="hsl({shade} 66% 38%)"/>
</linearGradient></defs>
<rect x="2" y="2" width="60" height="60" rx="16" fill="url(#g)"/>
<text x="32" y="33" fill="#fff" font-family="system-ui,sans-serif" font-size="{size}" font-weight="600" \
text-anchor="middle" dominant-baseline="central">{initials}</text>
</svg>
"""


def icon_svg(label: str, category: str) -> str:
    """An SVG image, the same for the same words. It loads and runs nothing."""
    initials = _initials(label)
    hue = HUES.get(category, crc32(category.encode()) % 360)
    return SVG.format(
        label=escape(label),
        hue=hue,
        shade=(hue + 30) % 360,
        size=28 if len(initials) < 3 else 22,
        initials=escape(initials),
    )


def _initials(label: str) -> str:
    """Of the first two words; a single word gives its first two letters."""
    words = words_of(label)
    if len(words) > 1:
        return "".join(word[0] for word in words[:2]).upper()
    word = words[0] if words else label or "?"
    return word[:1].upper() + word[1:2]
