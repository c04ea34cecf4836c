"""Sessions of people who have signed in, for tests that speak HTTP to a running server."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from tests.factories import make_user
from workspaces.models import Membership, User, Workspace
from workspaces.services import add_member

TOKEN = "a" * 32


def session_of(workspace: Workspace, role: str) -> str:
    """The key of a session of somebody new, in this workspace."""
    user = make_user()
    add_member(workspace=workspace, user=user, role=Membership.Role(role))
    return session_for(user)


def session_for(user: User) -> str:
    """The key of a session of this person."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


def headers_of(session_key: str) -> dict[str, str]:
    """What a browser and its page send: the cookies, and the token of one of them once more."""
    return {"Cookie": f"sessionid={session_key}; csrftoken={TOKEN}", "X-CSRFToken": TOKEN}
