"""What there is to be allowed: every permission key, and the roles that come with every workspace."""

from __future__ import annotations

from collections.abc import Mapping

FLOW_ACTIONS = ("view", "create", "edit", "delete", "deploy", "execute")
WRITES = ("view", "create", "edit", "delete")

# Resource -> actions; a permission key is `resource:action`.
ACTIONS: Mapping[str, tuple[str, ...]] = {
    "chatflows": FLOW_ACTIONS,
    "agentflows": FLOW_ACTIONS,
    "executions": ("view", "delete", "control"),
    "messages": ("view", "delete"),
    "credentials": WRITES,
    "variables": WRITES,
    "tools": (*WRITES, "use"),
    "document-stores": (*WRITES, "upsert"),
    "triggers": WRITES,
    "hooks": WRITES,
    "workspace": ("create", "view", "edit", "delete", "add-user", "unlink-user"),
    "users": ("manage",),
    "roles": ("manage",),
    "apikeys": WRITES,
    "audit": ("view",),
    "limits": ("view", "edit"),
    "end-users": ("view", "delete"),
}
PERMISSIONS = frozenset(f"{resource}:{action}" for resource, actions in ACTIONS.items() for action in actions)

# What belongs to one flow or its runs: all that a key which is limited to some flows can reach.
FLOW_BOUND = frozenset({"chatflows", "agentflows", "executions", "messages"})
MAKES_FLOWS = frozenset({"chatflows:create", "agentflows:create"})

_ADMINISTRATION = frozenset({"workspace", "users", "roles", "apikeys", "audit", "limits", "end-users"})
_VIEWED = frozenset({"chatflows", "agentflows", "executions", "messages", "tools", "document-stores", "variables"})

# By the name of a membership's role.
BUILT_IN: Mapping[str, frozenset[str]] = {
    "owner": PERMISSIONS,
    "admin": PERMISSIONS - {"workspace:delete"},
    "editor": frozenset(key for key in PERMISSIONS if key.partition(":")[0] not in _ADMINISTRATION)
    | {"workspace:view"},
    "viewer": frozenset(f"{resource}:view" for resource in _VIEWED) | {"workspace:view"},
}
