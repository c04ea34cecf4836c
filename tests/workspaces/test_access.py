"""What somebody may do: the union of what they were granted, and no flow but theirs."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from forjinn.core.errors import Forbidden, NotFound
from workspaces.access import Access, Grant, decide
from workspaces.permissions import BUILT_IN, PERMISSIONS

OWN_FLOW = uuid4()


def somebody(*roles: str, flows: frozenset[UUID] | None = None) -> Access:
    grants = tuple(Grant(f"the role {role}", BUILT_IN[role]) for role in roles)
    return Access(kind="member", id=uuid4(), workspace_id=uuid4(), name="Ada", grants=grants, flows=flows)


def test_a_role_allows_what_it_holds_and_the_reason_names_it() -> None:
    decision = decide(somebody("viewer"), "chatflows:view")

    assert decision.is_allowed
    assert decision.why == "the role viewer allows chatflows:view"


def test_a_role_does_not_allow_the_rest_and_the_refusal_names_what_is_needed() -> None:
    with pytest.raises(Forbidden, match="chatflows:delete is needed; Ada has the role viewer"):
        somebody("viewer").check("chatflows:delete")


def test_several_roles_are_one_union() -> None:
    assert somebody("viewer", "editor").may("chatflows:delete")


def test_without_a_role_nothing_is_allowed() -> None:
    assert not any(somebody().may(permission) for permission in PERMISSIONS)


def test_an_owner_may_do_everything() -> None:
    assert all(somebody("owner").may(permission) for permission in PERMISSIONS)


def test_other_flows_are_as_unknown_as_none() -> None:
    limited = somebody("owner", flows=frozenset({OWN_FLOW}))
    limited.check("chatflows:execute", OWN_FLOW)

    with pytest.raises(NotFound):
        limited.check("chatflows:execute", uuid4())


@pytest.mark.parametrize("permission", ["chatflows:create", "credentials:view", "apikeys:create", "users:manage"])
def test_who_is_limited_to_flows_reaches_nothing_beside_them(permission: str) -> None:
    assert not somebody("owner", flows=frozenset({OWN_FLOW})).may(permission)
