"""Where an agent flow begins: a message or a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import values
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

FIELD_TYPES = ("string", "number", "boolean", "options")
YES = frozenset({"true", "yes", "on", "1"})
NO = frozenset({"false", "no", "off", "0", ""})

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
            options=("chatInput", "formInput"),
            help="A message or a form.",
        ),
        Param("formTitle", "string", "Form Title", optional=True, help="What stands above the form."),
        Param("formDescription", "string", "Form Description", optional=True, help="What it is for."),
        Param(
            "formInputTypes",
            "array",
            "Form Input Types",
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
        ),
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
)


async def run_start(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Hand on the message or the form. State that the run was given goes before the defaults of the node.

    Raises NodeInputError for another kind of start, and for a form value that does not fit its field.
    """
    kind = values.text(inputs, "startInputType", "chatInput")
    if kind not in ("chatInput", "formInput"):
        raise NodeInputError(
            f"A flow that starts by {kind!r} cannot be run by a message: its start must be 'chatInput' or 'formInput'."
        )
    output: dict[str, Any] = {"question": ctx.request.question}
    if kind == "formInput":
        output = _form(ctx, inputs)
    if values.flag(inputs, "startEphemeralMemory"):
        output["ephemeralMemory"] = True
    if values.flag(inputs, "startPersistState"):
        output["persistState"] = True
    defaults = {str(row["key"]): row.get("value", "") for row in values.items(inputs, "startState") if row.get("key")}
    return NodeResult(output=output, state={**defaults, **ctx.state})


def _form(ctx: NodeContext, inputs: Inputs) -> dict[str, Any]:
    """A session whose form is filled in goes on with plain messages."""
    fields = values.items(inputs, "formInputTypes")
    given = ctx.request.form
    if not given:
        if ctx.request.question.strip():
            return {"question": ctx.request.question}
        names = ", ".join(str(field.get("name")) for field in fields)
        raise NodeInputError(f"This flow begins with a form: send 'form' with values for {names or 'its fields'}.")
    return {"form": {**given, **{str(field.get("name")): _field(field, given) for field in fields}}}


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
        return int(number) if number.is_integer() else number
    except (ValueError, OverflowError) as exc:
        raise _misfit(field, "a number", value) from exc


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
