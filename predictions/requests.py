"""What a prediction call may say, in JSON and in multipart, read once into plain values.

Clients of this API send nulls, empty strings, text for booleans and fields of their own; all of that is taken. What
cannot be understood is a RequestInvalid that names the field.
"""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

import orjson
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError

from engine.flow import DEEPEST, is_deeper
from forjinn.core.errors import AppError
from predictions.magic import ACTIVE, first_bytes, image_type

MAX_ID = 255
MAX_UPLOADS = 20  # files with one question
JSON_FIELDS = ("overrideConfig", "history", "uploads", "form", "humanInput", "action", "vars")
# What a multipart body's fields mean; every other one is an override, as clients of file loaders send them.
OWN_FIELDS = frozenset(
    {
        "action",
        "chatId",
        "chatflowId",
        "endUserToken",
        "files",
        "form",
        "history",
        "humanInput",
        "leadEmail",
        "overrideConfig",
        "question",
        "sessionId",
        "stopNodeId",
        "streaming",
        "uploads",
    }
)
ROLES = ("userMessage", "apiMessage")
SAME_TYPE = {"image/jpg": "image/jpeg"}  # what some clients write
DATA_URI = re.compile(r"data:([^;,]*)[;,]")
ADDRESS = re.compile(r"https?://", re.IGNORECASE)
UPLOAD_TYPES = ("file", "file:rag", "file:full", "url", "stored-file", "stored-file:full")


class RequestInvalid(AppError):
    """The body cannot be understood; the message names the field and what is expected."""

    status = 400
    code = "invalid_request"


@dataclass(frozen=True, slots=True)
class HumanAnswer:
    """What a person says to a run that waits for them: a decision, or the message that it asked for.

    `kind` is None when they chose a button by its label instead: `label`, and the id of the action that offered it.
    """

    kind: Literal["proceed", "reject", "message", "order"] | None
    feedback: str = ""
    start_node_id: str = ""
    label: str = ""
    action_id: str = ""


@dataclass(frozen=True, slots=True)
class PredictionRequest:
    """One prediction call, checked. `overrides` is overrideConfig without sessionId, not yet held against any rules."""

    question: str
    chat_id: str
    session_id: str
    wants_stream: bool
    form: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, str]] = ()
    uploads: Sequence[Mapping[str, Any]] = ()
    images: Sequence[str] = ()
    attached: str = ""  # text of fully uploaded files, put before the question
    lead_email: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)  # what an agent flow's state begins with
    answer: HumanAnswer | None = None  # set: no new question, but a run that waits goes on
    is_new_chat: bool = False  # nobody can have said anything in it
    object_id: str | None = None  # what the run is called where names have 24 hexadecimal digits
    beside: Mapping[str, Any] = field(default_factory=dict)  # what the API that was asked keeps with the run
    chat_type: str = "EXTERNAL"
    end_user: str = ""  # who speaks: see `predictions.speakers`
    end_user_token: str = ""

    def stored(self) -> dict[str, Any]:
        """What the execution keeps of it beside its columns."""
        kept = {
            "form": list(self.form.items()),  # pairs: the database keeps the order of lists only
            "history": self.history,
            "images": self.images,
            "leadEmail": self.lead_email,
            "uploads": [{k: v for k, v in upload.items() if k != "data"} for upload in self.uploads],
            "attachment": self.attached,
            "override": self.overrides,
            "state": self.state,
            "newChat": self.is_new_chat,
            **self.beside,
        }
        return {key: value for key, value in kept.items() if value}


def read_request(request: HttpRequest) -> PredictionRequest:
    """The body of a prediction call. Raises RequestInvalid."""
    body = _multipart(request) if request.content_type == "multipart/form-data" else _json(request)
    override = _object(body, "overrideConfig")
    session_id = _identifier(override, "sessionId", label="overrideConfig.sessionId")
    chat_id = _identifier(body, "chatId")
    # The two are aliases at the top level; overrideConfig.sessionId is the memory's key whatever they say.
    alias = _identifier(body, "sessionId")
    named = chat_id or alias or session_id
    chat_id = named or str(uuid4())
    form = _object(body, "form")
    question = _text(body, "question")
    answer = _answer(body, question)
    if question and form and answer is None:
        raise RequestInvalid("Question and form cannot be provided at the same time")
    if answer is None and body.get("question") is None and body.get("form") is None:
        raise RequestInvalid("question: required; a flow that starts from a form takes form instead")
    uploads = _uploads(body)
    return PredictionRequest(
        question=question,
        chat_id=chat_id,
        session_id=session_id or chat_id,
        wants_stream=_flag(body, "streaming"),
        form=form,
        history=_history(body),
        uploads=uploads,
        images=_images(uploads),
        attached="".join(f"<doc name='{u['name']}'>{u['data']}</doc>\n\n" for u in uploads if u["type"] == "file:full"),
        lead_email=_text(body, "leadEmail")[:254],
        answer=answer,
        overrides={key: value for key, value in override.items() if key != "sessionId"},
        is_new_chat=not named,
        end_user_token=_text(body, "endUserToken"),
    )


def read_object(request: HttpRequest) -> Mapping[str, Any]:
    """A body that is a JSON object, or empty. Raises RequestInvalid."""
    return _json(request) if request.body else {}


def read_answer(body: Mapping[str, Any]) -> HumanAnswer | None:
    """The decision in `humanInput`, if there is one. Raises RequestInvalid."""
    return _answer({"humanInput": body.get("humanInput")}, "")


def _answer(body: Mapping[str, Any], question: str) -> HumanAnswer | None:
    """The answer to an agent flow, or the button of a multi-agent graph that was chosen."""
    if body.get("humanInput") not in (None, ""):
        given = _object(body, "humanInput")
        kind = given.get("type")
        if kind not in ("proceed", "reject"):
            raise RequestInvalid(f"humanInput.type: expected proceed or reject, got {_shown(kind)}")
        said = {f"humanInput.{name}": given.get(name) for name in ("feedback", "startNodeId")}
        feedback, node_id = (_text(said, name) for name in said)
        return HumanAnswer(kind, feedback.strip(), node_id, label=question)
    if action := _object(body, "action"):
        return HumanAnswer(None, label=question, action_id=_text({"action.id": action.get("id")}, "action.id"))
    return None


def _shown(value: object) -> str:
    return f"'{value[:40]}'" if isinstance(value, str) else _kind(value)


def asks_for_stream(request: HttpRequest) -> bool:
    """Whether the body asks for a stream, whatever else is wrong with it."""
    try:
        body = _multipart(request) if request.content_type == "multipart/form-data" else _json(request)
        return _flag(body, "streaming")
    except RequestInvalid:
        return False


def _json(request: HttpRequest) -> Mapping[str, Any]:
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as exc:
        raise RequestInvalid(f"The body is not valid JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise RequestInvalid("The body must be a JSON object")
    return body


def read_fields(request: HttpRequest) -> Mapping[str, Any]:
    """The fields of a body that is JSON or multipart; some texts of the latter hold JSON. Raises RequestInvalid."""
    if request.content_type != "multipart/form-data":
        return _json(request)
    try:
        fields: dict[str, Any] = {key: request.POST[key] for key in request.POST}
        request.FILES.getlist("files")
    except MultiPartParserError as exc:
        raise RequestInvalid(f"The multipart body cannot be read: {exc}") from exc
    for name in JSON_FIELDS:
        if isinstance(text := fields.get(name), str):
            fields[name] = _parsed(name, text)
    return fields


def _multipart(request: HttpRequest) -> Mapping[str, Any]:
    """Image files become uploads; text fields that are not the call's own are override keys."""
    fields = read_fields(request)
    uploads = list(_list(fields, "uploads"))
    for file in request.FILES.getlist("files"):
        kind = file.content_type or ""
        if not kind.startswith("image/"):
            raise RequestInvalid(f"files: {file.name} is {kind or 'of no known type'}; this flow takes images only")
        data = f"data:{kind};base64,{base64.b64encode(file.read()).decode()}"
        uploads.append({"type": "file", "name": file.name, "mime": kind, "data": data})
    return {**fields, "uploads": uploads, "overrideConfig": _override_fields(fields)}


def _override_fields(fields: Mapping[str, Any]) -> Any:
    """`overrideConfig`, and beside it the fields that are not the call's own."""
    override = fields.get("overrideConfig") or {}
    others = {name: value for name, value in fields.items() if name not in OWN_FIELDS}
    return {**others, **override} if isinstance(override, dict) else override


def _parsed(name: str, text: str) -> Any:
    if not text.strip():
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise RequestInvalid(f"{name}: expected JSON text: {exc}") from exc


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RequestInvalid(f"{name}: expected text, got {_kind(value)}")
    if "\0" in value:
        raise RequestInvalid(f"{name}: the character NUL is not allowed")
    return value


def _identifier(body: Mapping[str, Any], name: str, *, label: str = "") -> str:
    # Only text: objects as session ids have been used to query other people's sessions.
    value = _text(body, name) if not label else _text({label: body.get(name)}, label)
    if len(value) > MAX_ID:
        raise RequestInvalid(f"{label or name}: at most {MAX_ID} characters, got {len(value)}")
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None or value is False or value in ("", "false"):
        return False
    if value is True or value == "true":
        return True
    raise RequestInvalid(f"{name}: expected true or false, got {_kind(value)}")


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise RequestInvalid(f"{name}: expected an object, got {_kind(value)}")
    check_json(name, value)
    return value


def check_json(name: str, value: Any) -> None:
    """Raises RequestInvalid for JSON that the database does not keep, or that is nested too deeply to be walked."""
    if is_deeper(value, DEEPEST):
        raise RequestInvalid(f"{name}: nested more than {DEEPEST} levels deep")
    if b"\\u0000" in orjson.dumps(value):
        raise RequestInvalid(f"{name}: the character NUL is not allowed")


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    value = body.get(name)
    if value is None or value == "":
        return []
    if not isinstance(value, list):
        raise RequestInvalid(f"{name}: expected a list, got {_kind(value)}")
    return value


def _history(body: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """Both spellings: {role, content}, and the older {type, message}."""
    turns: list[Mapping[str, str]] = []
    for index, item in enumerate(_list(body, "history")):
        where = f"history[{index}]"
        if not isinstance(item, dict):
            raise RequestInvalid(f"{where}: expected an object, got {_kind(item)}")
        role = item.get("role") or item.get("type")
        content = item.get("content") if item.get("content") is not None else item.get("message")
        if role not in ROLES or (item.get("type") or role) not in ROLES:
            raise RequestInvalid(f"{where}: role must be userMessage or apiMessage")
        if not isinstance(content, str) or "\0" in content:
            raise RequestInvalid(f"{where}: content must be text")
        turns.append({"role": role, "content": content})
    return turns


def _uploads(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    uploads: list[Mapping[str, Any]] = []
    if (sent := len(_list(body, "uploads"))) > MAX_UPLOADS:
        raise RequestInvalid(f"uploads: at most {MAX_UPLOADS}, got {sent}")
    for index, item in enumerate(_list(body, "uploads")):
        where = f"uploads[{index}]"
        if not isinstance(item, dict):
            raise RequestInvalid(f"{where}: expected an object, got {_kind(item)}")
        upload = {
            name: _text({f"{where}.{name}": item.get(name)}, f"{where}.{name}")
            for name in ("type", "name", "mime", "data")
        }
        uploads.append(_checked_upload(where, upload))
    return uploads


def _checked_upload(where: str, upload: Mapping[str, str]) -> Mapping[str, Any]:
    match upload["type"]:
        case "file":
            return {**upload, "mime": _checked_kind(where, upload)}
        case "url" if not ADDRESS.match(upload["data"]):
            raise RequestInvalid(f"{where}.data: expected an address that begins with http:// or https://")
        case "audio":
            raise RequestInvalid(f"{where}: this flow has no speech-to-text")
        case kind if kind not in UPLOAD_TYPES:
            raise RequestInvalid(f"{where}.type: expected one of {', '.join(UPLOAD_TYPES)}; got '{kind[:40]}'")
    return upload


def _checked_kind(where: str, upload: Mapping[str, str]) -> str:
    """The file's MIME type. Name, declared type and data must say the same: files are served to others later."""
    carried = DATA_URI.match(upload["data"])
    if carried is None:
        raise RequestInvalid(f"{where}.data: expected a data URI like data:image/png;base64,...")
    kind = SAME_TYPE.get(carried[1], carried[1])
    declared = SAME_TYPE.get(upload["mime"], upload["mime"]) or kind
    named, _ = mimetypes.guess_type(upload["name"])
    if named and named != declared:
        raise RequestInvalid(f"{where}: {upload['name']} is {named} by its name, but mime says {declared}")
    if kind != declared:
        raise RequestInvalid(f"{where}: data is {kind or 'of no type'}, but mime says {declared}")
    if declared in ACTIVE:
        raise RequestInvalid(f"{where}: files of type {declared} are not taken: they can hold programs")
    if declared.startswith("image/") and (found := image_type(first_bytes(upload["data"]))) != declared:
        raise RequestInvalid(f"{where}: {upload['name']} is called {declared}, but its bytes are {found or 'no image'}")
    return declared


def _images(uploads: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        upload["data"]
        for upload in uploads
        if (upload["type"] == "file" and upload["mime"].startswith("image/")) or upload["type"] == "url"
    ]


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "nothing" if value is None else type(value).__name__)
