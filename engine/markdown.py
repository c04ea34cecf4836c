"""Plain text of Markdown, so that texts can be compared by what they say."""

from __future__ import annotations

import re

LONGEST = 100_000  # characters; more is compared as it is

# In this order: what stands later may be uncovered by what stands before it. None of them may look at a run of blanks
# from each of its characters: a page of them would take a minute.
RULES = (
    (re.compile(r"^ {0,3}(?:[-_*][ \t]*){3,}$", re.MULTILINE), ""),  # rules
    (re.compile(r"^[ \t]*(?:```|~~~)[^\n]*\n?", re.MULTILINE), ""),  # fences
    (re.compile(r"^([ \t]*)(?:[*+-]|\d{1,9}\.)[ \t]+", re.MULTILINE), r"\1"),  # list items
    (re.compile(r"^ {0,3}>[ \t]?", re.MULTILINE), ""),  # quotes
    (re.compile(r"^ {0,3}#{1,6}[ \t]+|(?<![ \t])[ \t]+#{1,6}[ \t]*$", re.MULTILINE), ""),  # headings
    (re.compile(r"</?[A-Za-z][^<>]*>"), ""),  # tags
    (re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)"), r"\1"),  # links and images
    (re.compile(r"(?<!\w)_{1,3}(?=\S)([^_\n]+)(?<=\S)_{1,3}(?!\w)"), r"\1"),  # emphasis; names keep their lines
    (re.compile(r"\*{1,3}(?=[^\s*])([^*\n]+)(?<=[^\s*])\*{1,3}"), r"\1"),
    (re.compile(r"~~([^~\n]+)~~"), r"\1"),
    (re.compile(r"`+([^`\n]+)`+"), r"\1"),
)


def plain_text(markdown: str) -> str:
    """The text without its marks and outer blanks."""
    if len(markdown) <= LONGEST:
        for pattern, replacement in RULES:
            markdown = pattern.sub(replacement, markdown)
    return markdown.strip()
