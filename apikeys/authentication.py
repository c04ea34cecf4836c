"""Who calls: `Authorization: Bearer <key>`, or `?apiKey=<key>` where a header cannot be sent."""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apikeys.records import KeyRecord, find_key
from forjinn.core.errors import AUTH_CHALLENGE
from workspaces.access import Access, admit_access
from workspaces.models import User
from workspaces.sessions import check_same_site, find_member, has_session

KEY_MISSING = "API key missing: send Authorization: Bearer <key>"
KEY_INVALID = "Invalid API key"


class MemberAuthentication(BaseAuthentication):
    """Sets `request.user` to the person whose session's cookie came, where no key did; `request.auth` is their access.

    Who is in no workspace has none: they reach what needs a person alone.
    """

    def authenticate(self, request: Request) -> tuple[User, Access | None] | None:
        if sent_key(request) is not None or not has_session(request):
            return None
        member = find_member(request._request)
        if member is None:
            raise AuthenticationFailed("Your session has ended: sign in again")
        check_same_site(request._request)
        if member.access:
            admit_access(request, member.access)
        return member.user, member.access

    def authenticate_header(self, request: Request) -> str:
        return AUTH_CHALLENGE


class ApiKeyAuthentication(BaseAuthentication):
    """Sets `request.auth` to the key's record; its workspace is the caller's, and the request's. There is no user."""

    def authenticate(self, request: Request) -> tuple[None, KeyRecord] | None:
        raw = sent_key(request)
        if raw is None:
            raise AuthenticationFailed(KEY_MISSING)
        key = find_key(raw)
        if key is None:
            # Unknown, revoked, expired and malformed look alike: a difference would confirm a guess.
            raise AuthenticationFailed(KEY_INVALID)
        key.check_use(request.headers.get("Origin", ""), asks_flow=False)
        admit_access(request, key)
        return None, key

    def authenticate_header(self, request: Request) -> str:
        return AUTH_CHALLENGE


def sent_key(request: Request | HttpRequest) -> str | None:
    """The key as it was sent, None if none was. A header decides alone: the query does not rescue a bad one."""
    if header := request.headers.get("Authorization"):
        scheme, _, token = header.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""
    return request.GET.get("apiKey")
