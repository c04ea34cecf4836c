"""Node types and credential kinds as editors list them: the names and shapes that canvases of such flows know."""

from __future__ import annotations

from typing import Any

from engine.credential_kinds import CredentialKind
from engine.spec import NodeSpec, Param
from engine.words import words_of

ICON = "/api/v1/node-icon/{}"


def node_entry(spec: NodeSpec) -> dict[str, Any]:
    """A node type: what to draw of it, and what a new node of it holds.

    `installed` is there if it takes an optional dependency, whose name is `extra`.
    """
    entry: dict[str, Any] = {
        "name": spec.name,
        "label": spec.label,
        "version": spec.version,
        "type": spec.base_classes[0] if spec.base_classes else spec.name,
        "icon": ICON.format(spec.name),
        "category": spec.category,
        "description": spec.help,
        "baseClasses": list(spec.base_classes),
        "inputs": [param_entry(param) for param in spec.params if param.kind != "credential"],
        "outputs": [
            {"name": name, "label": _title(name), "baseClasses": list(spec.base_classes)} for name in spec.outputs
        ],
    }
    if spec.credentials:
        param = spec.param("credential")
        entry["credential"] = {
            "name": "credential",
            "label": param.label if param else "Connect Credential",
            "type": "credential",
            "credentialNames": list(spec.credentials),
            "optional": param is None or param.optional,
        }
    if spec.extra:
        entry |= {"extra": spec.extra.name, "installed": spec.extra.is_installed}
    return entry


def param_entry(param: Param) -> dict[str, Any]:
    """An input: a field to fill in, or an anchor, whose type is the base class that it takes."""
    entry: dict[str, Any] = {"name": param.name, "label": param.label or _title(param.name), "type": param.kind}
    more = {
        "description": param.help,
        "default": param.default,
        "optional": param.optional,
        "options": [{"name": name, "label": _title(name)} for name in param.options],
        "array": [param_entry(field) for field in param.fields],
        "list": param.is_list,
        "acceptVariable": param.variables,
    }
    return entry | {name: value for name, value in more.items() if value not in (None, "", [], False) or value == 0}


def credential_entry(kind: CredentialKind) -> dict[str, Any]:
    """A kind of credential: the form that asks for one."""
    return {
        "name": kind.name,
        "label": kind.label,
        "version": 1,
        "inputs": [
            {"name": field.name, "label": field.label, "type": field.kind, "optional": field.optional}
            for field in kind.fields
        ],
    }


def _title(name: str) -> str:
    """`outputPrediction` -> `Output Prediction`."""
    return " ".join(word[:1].upper() + word[1:] for word in words_of(name)) or name
