"""Where an agent flow begins: with a message, a form, a webhook or a date."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import values
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.templating import Given

FIELD_TYPES = ("string", "number", "boolean", "options")
BODY_TYPES = (
    "string",
    "number",
    "boolean",
    "object",
    "array[string]",
    "array[number]",
    "array[boolean]",
    "array[object]",
)
YES = frozenset({"true", "yes", "on", "1"})
NO = frozenset({"false", "no", "off", "0", ""})
SIGNATURE_HEADER = "X-Webhook-Signature"  # unless the author chooses another
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
NOTHING = " "  # the message of a run that was started without one


def _form_rows(name: str, label: str) -> Param:
    return Param(
        name,
        "array",
        label,
        optional=True,
        help="One row a field.",
        fields=(
            Param("type", "options", "Type", default="string", options=FIELD_TYPES, help="What it takes."),
            Param("label", "string", "Label", help="Its name for people."),
            Param("name", "string", "Variable Name", help="Its name in {{ $form.name }}."),
            Param(
                "addOptions",
                "array",
                "Add Options",
                optional=True,
                help="What may be chosen.",
                fields=(Param("option", "string", "Option", help="One choice."),),
            ),
        ),
    )


def _expected(name: str, label: str, *types: str) -> Param:
    kind = (Param("type", "options", "Type", default=types[0], options=types, help="What it holds."),) if types else ()
    return Param(
        name,
        "array",
        label,
        optional=True,
        help="What a call must bring.",
        fields=(
            Param("name", "string", "Name", help="Its name."),
            *kind,
            Param("required", "boolean", "Required", optional=True, help="Refuse calls without it."),
        ),
    )


def _choice_param(name: str, label: str, *options: str, hint: str) -> Param:
    # Without a default: it would stand in the trace of flows that begin with a message.
    return Param(name, "options", label, optional=True, options=options, help=hint)


WEBHOOK = (
    _choice_param("webhookMethod", "Method", "POST", "GET", "PUT", "PATCH", "DELETE", hint="How it is called."),
    _choice_param(
        "webhookContentType",
        "Content Type",
        "application/json",
        "application/x-www-form-urlencoded",
        hint="What its body is.",
    ),
    _choice_param("webhookInputMode", "Input", "text", "none", "payload", hint="What the user is taken to have said."),
    Param(
        "webhookDefaultInput",
        "string",
        "Default Input",
        optional=True,
        variables=True,
        help="What is said, for the input 'text'; {{ $webhook.body.name }} stands for a part of the call.",
    ),
    Param("webhookEnableAuth", "boolean", "Verify Calls", optional=True, help="Refuse calls without a signature."),
    Param("webhookSignatureHeader", "string", "Signature Header", optional=True, help="Where the signature stands."),
    _choice_param("webhookSignatureType", "Signature Type", "hmac-sha256", "plain-token", hint="What it is."),
    _choice_param("webhookResponseMode", "Response", "sync", "async", "stream", hint="How a call is answered."),
    Param("callbackUrl", "string", "Callback URL", optional=True, help="Where the answer of 'async' goes."),
    Param("callbackSecret", "password", "Callback Secret", optional=True, help="What signs it."),
    Param("webhookEnableValidation", "boolean", "Check Parameters", optional=True, help="Refuse incomplete calls."),
    _expected("webhookQueryParams", "Query Parameters"),
    _expected("webhookBodyParams", "Body Parameters", *BODY_TYPES),
    _expected("webhookHeaderParams", "Header Parameters"),
)
SCHEDULE = (
    _choice_param("scheduleType", "Schedule Type", "visualPicker", "cronExpression", hint="How the dates are written."),
    Param("scheduleCronExpression", "string", "Cron Expression", optional=True, help="Such as 0 9 * * 1-5."),
    _choice_param("scheduleFrequency", "Frequency", "hourly", "daily", "weekly", "monthly", hint="How often it runs."),
    Param("scheduleOnMinute", "number", "On Minute", optional=True, help="Of each hour."),
    Param("scheduleOnTime", "timePicker", "On Time", optional=True, help="Of the day."),
    Param("scheduleOnDayOfWeek", "weekDaysPicker", "On Day of Week", optional=True, help="Which days."),
    Param("scheduleOnDayOfMonth", "monthDaysPicker", "On Day of Month", optional=True, help="Which days."),
    Param("scheduleEndDate", "datePicker", "End Date", optional=True, help="When it runs for the last time."),
    Param("scheduleTimezone", "asyncOptions", "Timezone", optional=True, help="Of all these times; empty: UTC."),
    _choice_param("scheduleInputMode", "Input", "text", "form", "none", hint="What the run begins with."),
    Param("scheduleDefaultInput", "string", "Default Input", optional=True, variables=True, help="What is said."),
    _form_rows("scheduleFormInputTypes", "Form Input Types"),
    Param("scheduleFormDefaults", "json", "Form Values", optional=True, help="The values of that form."),
)

START = NodeSpec(
    name="startAgentflow",
    label="Start",
    version=1.4,
    category="Agent Flows",
    base_classes=("Start",),
    help="Where a run begins, and what its state holds then.",
    params=(
        Param(
            "startInputType",
            "options",
            "Input Type",
            default="chatInput",
            options=("chatInput", "formInput", "webhookTrigger", "scheduleInput"),
            help="What a run begins with.",
        ),
        Param("formTitle", "string", "Form Title", optional=True, help="What stands above the form."),
        Param("formDescription", "string", "Form Description", optional=True, help="What it is for."),
        _form_rows("formInputTypes", "Form Input Types"),
        *WEBHOOK,
        *SCHEDULE,
        Param(
            "startEphemeralMemory", "boolean", "Ephemeral Memory", optional=True, help="Forget earlier conversations."
        ),
        Param(
            "startState",
            "array",
            "Flow State",
            optional=True,
            help="What the state holds at first.",
            fields=(
                Param("key", "string", "Key", help="Its name in {{ $flow.state.key }}."),
                Param("value", "string", "Value", optional=True, help="What it holds."),
            ),
        ),
        Param(
            "startPersistState", "boolean", "Persist State", optional=True, help="Begin with the session's last state."
        ),
    ),
    role="start",
    is_free=True,
)


async def run_start(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Hand on what the run begins with. Its state: what the run was given, else the session's last, else the defaults.

    Raises NodeInputError for another kind of start, and for a form value that does not fit its field.
    """
    kind = values.text(inputs, "startInputType", "chatInput")
    output: dict[str, Any]
    match kind:
        case "chatInput":
            output = {"question": ctx.request.question}
        case "formInput":
            output = await _form(ctx, values.items(inputs, "formInputTypes"))
        case "webhookTrigger":
            output = _webhook(ctx, inputs)
        case "scheduleInput":
            output = _schedule(ctx, inputs)
        case _:
            raise NodeInputError(f"A flow cannot start by {kind!r}: choose an input type of the start node.")
    rows = [row for row in values.items(inputs, "startState") if row.get("key")]
    state = {str(row["key"]): row.get("value", "") for row in rows}
    if values.flag(inputs, "startEphemeralMemory"):
        output["ephemeralMemory"] = True
    if values.flag(inputs, "startPersistState"):
        output["persistState"] = True
        previous = await ctx.world.previous()
        state |= previous.state if previous else {}
        # What the caller of this run has set goes before what the session kept.
        state |= {str(row["key"]): row.get("value", "") for row in rows if isinstance(row["key"], Given)}
    return NodeResult(output=output, state={**state, **ctx.state})


async def _form(ctx: NodeContext, fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A session whose form is filled in goes on with plain messages, which still see it."""
    if ctx.request.form:
        return {"form": _filled(fields, ctx.request.form)}
    if ctx.request.question.strip():
        previous = await ctx.world.previous()
        known = {"form": previous.form} if previous and previous.form else {}
        return {"question": ctx.request.question, **known}
    names = ", ".join(str(field["name"]) for field in fields if field.get("name"))
    raise NodeInputError(f"This flow begins with a form: send 'form' with values for {names or 'its fields'}.")


def _webhook(ctx: NodeContext, inputs: Inputs) -> dict[str, Any]:
    """A message instead of a call is taken as it is, so that the flow can be tried out."""
    call = ctx.request.webhook
    if not call:
        if not ctx.request.question.strip():
            raise NodeInputError("This flow begins with a webhook: call its address, or send a question to try it out.")
        return {"question": ctx.request.question}
    # The signature may be the token itself. Models, messages and traces are to see neither it nor other keys.
    secret = SECRET_HEADERS | {values.text(inputs, "webhookSignatureHeader", SIGNATURE_HEADER).strip().lower()}
    shown = {name: _without(secret, part) if name == "headers" else part for name, part in call.items()}
    match values.text(inputs, "webhookInputMode", "text"):
        case "text":
            said = values.text(inputs, "webhookDefaultInput", ctx.request.question)
        case "payload":
            said = orjson.dumps(shown).decode()
        case _:
            said = ""
    return {"question": said or NOTHING, "webhook": shown}


def _without(secret: Collection[str], headers: Any) -> Any:
    if not isinstance(headers, Mapping):
        return headers
    return {name: value for name, value in headers.items() if str(name).lower() not in secret}


def _schedule(ctx: NodeContext, inputs: Inputs) -> dict[str, Any]:
    """A message or a form that comes with the request goes before what the schedule says."""
    match values.text(inputs, "scheduleInputMode", "text"):
        case "form":
            given = ctx.request.form or values.mapping(inputs, "scheduleFormDefaults")
            return {"form": _filled(values.items(inputs, "scheduleFormInputTypes"), given)}
        case "text" if not ctx.request.question.strip():
            return {"question": values.text(inputs, "scheduleDefaultInput", NOTHING)}
        case _:
            return {"question": ctx.request.question or NOTHING}


def _filled(fields: Sequence[Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    return {**given, **{str(field["name"]): _field(field, given) for field in fields if field.get("name")}}


def _field(field: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """One value as its field has it; text where a number or a yes is meant is what web forms send."""
    value = given.get(str(field.get("name")), "")
    kind = field.get("type") or "string"
    if value is None or value == "":
        return ""
    if kind == "number":
        return _number(field, value)
    if kind == "boolean":
        return _boolean(field, value)
    if kind == "options":
        return _choice(field, value)
    return value


def _number(field: Mapping[str, Any], value: Any) -> float | int:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _misfit(field, "a number", value)
    return int(number) if number.is_integer() and abs(number) <= values.LARGEST_INTEGER else number


def _boolean(field: Mapping[str, Any], value: Any) -> bool:
    said = str(value).strip().lower()
    if said not in YES | NO:
        raise _misfit(field, "true or false", value)
    return said in YES


def _choice(field: Mapping[str, Any], value: Any) -> Any:
    rows = values.items(field, "addOptions")
    options = [str(row.get("option")) for row in rows if row.get("option")]
    if options and str(value) not in options:
        raise _misfit(field, f"one of {', '.join(options)}", value)
    return value


def _misfit(field: Mapping[str, Any], wanted: str, value: Any) -> NodeInputError:
    return NodeInputError(f"The form's {field.get('label') or field.get('name')!r} must be {wanted}, not {value!r}.")


NODES = (NodeType(START, run_start),)
