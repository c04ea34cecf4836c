"""A page as a browser reads it: its elements, its words, and everything in it that would run."""

from __future__ import annotations

from html.parser import HTMLParser

# `x-`, `@` and `:` are what Alpine.js, which the administration's pages are made with, runs.
RUNNING = ("on", "x-", "@", ":", "srcdoc")
LEADING = ("href", "src", "action", "formaction", "data")


class Drawn(HTMLParser):
    """Of a page's source: `elements` with their attributes in order, `text`, and `code`, piece by piece."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text = ""
        self.code: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))
        for name, value in attrs:
            leads_to_code = name in LEADING and (value or "").strip().lower().startswith(("javascript:", "data:text"))
            if name.startswith(RUNNING) or leads_to_code:
                self.code.append(value or "")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.code.append(data)
        else:
            self.text += data
