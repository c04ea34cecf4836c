"""Tools that read and send mail through Gmail."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import orjson

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.http import HttpClient
from engine.nodes import values
from engine.providers.base import Tool, ToolSpec
from engine.providers.refusals import refusal
from engine.spec import Inputs, NodeResult, NodeRun, NodeSpec, NodeType, Param
from engine.tools import FunctionTool

HOST = "gmail.googleapis.com"
URL = f"https://{HOST}/gmail/v1/users/me"
MOST_MESSAGES = 50

GMAIL = NodeSpec(
    name="gmail",
    label="Gmail",
    version=1,
    category="Tools",
    base_classes=("Gmail", "Tool"),
    help="Lets a model read and send mail.",
    params=(
        Param("credential", "credential", "Connect Credential"),
        Param("gmailType", "options", "Type", optional=True, options=("drafts", "messages"), help="What it works on."),
        Param("draftActions", "multiOptions", "Draft Actions", optional=True, help="createDraft."),
        Param(
            "messageActions",
            "multiOptions",
            "Message Actions",
            optional=True,
            help="listMessages, getMessage, sendMessage.",
        ),
    ),
    credentials=("gmailOAuth2",),
    role="component",
)


def _text(description: str) -> dict[str, str]:
    return {"type": "string", "description": description}


def _takes(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


MAIL = _takes(
    ("to",),
    to=_text("Whom it goes to, by commas."),
    subject=_text("The subject."),
    body=_text("The text."),
    cc=_text("Who gets a copy."),
    bcc=_text("Who gets one unseen."),
)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Gmail's REST API on behalf of one account."""

    http: HttpClient
    url: str
    token: str = field(repr=False)

    async def list_messages(self, given: Mapping[str, Any]) -> str:
        count = str(given.get("maxResults"))
        most = min(int(count), MOST_MESSAGES) if count.isdecimal() else 10
        return await self._ask("GET", "messages", params={"q": str(given.get("query") or ""), "maxResults": str(most)})

    async def get_message(self, given: Mapping[str, Any]) -> str:
        message_id = str(given.get("id") or "")
        if not message_id.isalnum():
            raise NodeInputError("get_message needs the id of a message, as list_messages gives it.")
        return await self._ask("GET", f"messages/{message_id}", params={"format": "full"})

    async def send_message(self, given: Mapping[str, Any]) -> str:
        return await self._ask("POST", "messages/send", json={"raw": _raw(given)})

    async def create_draft(self, given: Mapping[str, Any]) -> str:
        return await self._ask("POST", "drafts", json={"message": {"raw": _raw(given)}})

    async def _ask(self, method: str, path: str, **sent: Any) -> str:
        """The answer's text. Raises ProviderError if Gmail refuses."""
        if not self.token:
            raise NodeInputError(
                "Gmail cannot be used: its node needs a credential of kind 'gmailOAuth2' with access_token."
            )
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = await self.http.request(method, f"{self.url}/{path}", headers=headers, **sent)
        if answer.status != 200:
            raise refusal(HOST, answer.status, answer.body, headers=answer.headers, secrets=(self.token,))
        return answer.text


@dataclass(frozen=True, slots=True)
class Action:
    """A row of the table: what an author may choose, and the tool that a model gets for it."""

    name: str
    tool: str
    description: str
    parameters: Mapping[str, Any]
    run: Callable[[Mailbox, Mapping[str, Any]], Awaitable[str]]


ACTIONS = (
    Action(
        "listMessages",
        "list_messages",
        "Finds messages in Gmail.",
        _takes((), query=_text("A search as in Gmail, such as is:unread."), maxResults={"type": "integer"}),
        Mailbox.list_messages,
    ),
    Action(
        "getMessage", "get_message", "Reads one message.", _takes(("id",), id=_text("Its id.")), Mailbox.get_message
    ),
    Action("sendMessage", "send_message", "Sends a message.", MAIL, Mailbox.send_message),
    Action("createDraft", "create_draft", "Writes a draft.", MAIL, Mailbox.create_draft),
)
BY_NAME: Mapping[str, Action] = {action.name: action for action in ACTIONS}


def run_gmail(url: str) -> NodeRun:
    """The run function for Gmail's API at this address."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        """A tool an action; without an account they say so when they are used.

        Raises NodeInputError for an action that is not available.
        """
        chosen = _chosen(inputs)
        if unknown := [name for name in chosen if name not in BY_NAME]:
            raise NodeInputError(f"Gmail cannot {', '.join(unknown)} here; it can {', '.join(BY_NAME)}.")
        mailbox = Mailbox(ctx.world.http, url, (await values.credential(ctx, inputs)).get("access_token", ""))
        tools: list[Tool] = [_tool(BY_NAME[name], mailbox) for name in chosen or BY_NAME]
        return NodeResult(value=tools)

    return run


def _tool(action: Action, mailbox: Mailbox) -> FunctionTool:
    async def call(arguments: Mapping[str, Any]) -> str:
        return await action.run(mailbox, arguments)

    return FunctionTool(ToolSpec(action.tool, action.description, action.parameters), call)


def _chosen(inputs: Inputs) -> list[str]:
    """The actions of the chosen type: a list, or its JSON text."""
    given = inputs.get("draftActions" if values.text(inputs, "gmailType") == "drafts" else "messageActions")
    if isinstance(given, str) and given.strip():
        try:
            given = orjson.loads(given)
        except ValueError as exc:
            raise NodeInputError("The actions of a Gmail node must be a JSON list.") from exc
    return [str(name) for name in given] if isinstance(given, list) else []


def _raw(given: Mapping[str, Any]) -> str:
    """The mail as Gmail takes it."""
    mail = EmailMessage()
    try:
        for header in ("to", "cc", "bcc", "subject"):
            if value := str(given.get(header) or "").strip():
                mail[header.capitalize()] = value
    except ValueError as exc:
        raise NodeInputError(f"The mail cannot be sent: {exc}.") from exc
    if "To" not in mail:
        raise NodeInputError("The mail goes to nobody: say 'to' whom.")
    mail.set_content(str(given.get("body") or ""))
    return urlsafe_b64encode(mail.as_bytes()).decode()


NODES = (NodeType(GMAIL, run_gmail(URL)),)
