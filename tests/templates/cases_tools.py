"""Published tools, and what each is put to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.predictions import drawing
from tests.templates.case import FLOWS, VENDORS
from tests.templates.vendors import STOCKS


@dataclass(frozen=True, slots=True)
class ToolCase:
    """`address` is what the tool's code calls; its new owner writes another there, as a token beside it."""

    file: str
    address: str
    given: Mapping[str, Any]
    output: str
    calls: tuple[str, ...]
    sent: str  # what the body of the first call holds
    there: str = VENDORS
    edits: Mapping[str, str] = field(default_factory=dict)

    @property
    def template(self) -> Mapping[str, str]:
        read: Mapping[str, str] = json.loads((FLOWS / "tools" / f"{self.file}.json").read_text())
        return read

    @property
    def tool(self) -> Mapping[str, str]:
        """The template as its new owner keeps it."""
        func = self.template["func"]
        assert self.address in func
        for old, new in {self.address: self.there, **self.edits}.items():
            func = func.replace(old, new)
        return {**self.template, "func": func}


def agent(model_url: str, tool_id: str) -> str:
    """A flow that may use a tool of its workspace."""
    nodes = [
        drawing.chat_model(model_url),
        drawing.classic("customTool_0", "Tools", {"selectedTool": tool_id}, "CustomTool", "Tool"),
        drawing.classic("bufferMemory_0", "Memory", {}, "BufferMemory"),
        drawing.classic("toolAgent_0", "Agents", {}, "AgentExecutor"),
    ]
    edges = [
        drawing.wire("chatOpenAI_0", "toolAgent_0", "model"),
        drawing.wire("customTool_0", "toolAgent_0", "tools"),
        drawing.wire("bufferMemory_0", "toolAgent_0", "memory"),
    ]
    return json.dumps({"nodes": nodes, "edges": edges})


TOOLS = (
    ToolCase(
        "Add Hubspot Contact",
        "https://api.hubapi.com",
        {"email": "ann@example.org", "firstname": "Ann"},
        '{"id": "51"}',
        ("POST /crm/v3/objects/contacts",),
        "'firstname': 'Ann'",
    ),
    ToolCase(
        "Create Airtable Record",
        "https://api.airtable.com",
        {"column1": "a", "column2": "b"},
        '{"records": [{"id": "rec1"}]}',
        ("POST /v0/YOUR-BASE-ID/YOUR-TABLE-ID",),
        "'column2': 'b'",
    ),
    ToolCase(
        "Get Stock Mover",
        "https://morning-star.p.rapidapi.com",
        {},
        json.dumps(STOCKS),
        ("GET /market/v2/get-movers",),
        "None",
    ),
    ToolCase(
        "Make Webhook",
        "https://hook.eu1.make.com",
        {"message": "Hello"},
        "Accepted",
        ("POST /abcdefg",),
        "{'message': 'Hello'}",
    ),
    ToolCase(
        "Print or Export Text Document",
        "https://jotterpad.app",
        {"input": "# A", "name": "A"},
        '{"url":"https://files.test/a.pdf"',
        ("POST /publicApi/v1/exports/upload/md/pdf", "POST /publicApi/v1/exports/get"),
        "documentClassArg: 12pt,a4paper",
        edits={"20000": "20"},  # milliseconds between looks at the vendor's queue
    ),
    ToolCase(
        "Send Discord Message",
        "YOUR-WEBHOOK-URL",
        {"content": "Hello"},
        '{"id": "m1"}',
        ("POST /discord",),
        "{'content': 'Hello'}",
        there="{vendors}/discord",
    ),
    ToolCase(
        "Send Teams Message",
        "YOUR-WEBHOOK-URL",
        {"content": "Hello"},
        "1",
        ("POST /teams",),
        "{'content': 'Hello'}",
        there="{vendors}/teams",
    ),
    ToolCase(
        "SendGrid Email",
        "https://api.sendgrid.com",
        {"fromEmail": "a@x.org", "toEmail": "b@x.org", "subject": "Hi", "content": "Hello"},
        "",
        ("POST /v3/mail/send",),
        "[{'to': [{'email': 'b@x.org'}]}]",
    ),
    ToolCase(
        "Spider Web Search & Scrape",
        "https://api.spider.cloud",
        {"query": "weather"},
        '[{"content": "It rains."',
        ("POST /search",),
        "'search': 'weather'",
    ),
)
