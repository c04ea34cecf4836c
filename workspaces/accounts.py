"""How people come in: closed sign-up, and what differs from the account package's own ways.

An account is made by somebody who shows the set-up secret while there is nobody yet, or an invitation that was sent to
the address that they sign up with; or by a sign-in provider that the operator has configured. Nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.core import context as allauth_context
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from workspaces.invitations import find_invitation
from workspaces.models import SERVICE_DOMAIN, User

SHOWN = "shows_setup_secret"
SETUP_HEADER, INVITATION_HEADER = "X-Setup-Secret", "X-Invitation"


@dataclass(frozen=True, slots=True)
class Site:
    """What mails are signed with: never the Host header of whoever asked for them."""

    name: str
    domain: str


def setup_secret() -> str:
    """Makes the first account, and opens nothing once there is one."""
    return settings.SETUP_SECRET or salted_hmac("forjinn.setup", "first account", algorithm="sha256").hexdigest()[:40]


def is_setup_due() -> bool:
    return not User.objects.exists()


def _shows_setup_secret(request: HttpRequest) -> bool:
    """Asked for the first time before there is an account: the answer stays when this request has made one."""
    known: bool | None = getattr(request, SHOWN, None)
    if known is None:
        # Sign-up is counted. A GET, which tells whether it is open, is not: it could be asked with guess after guess.
        sent = request.headers.get(SETUP_HEADER, "") if request.method == "POST" else ""
        known = bool(sent) and constant_time_compare(sent, setup_secret()) and is_setup_due()
        setattr(request, SHOWN, known)
    return known


class Backend(AuthenticationBackend):  # type: ignore[misc]  # the package has no types
    """Named by AUTHENTICATION_BACKENDS; asked for each session again."""

    def user_can_authenticate(self, user: User) -> bool:
        """Nobody is a service account, whatever password somebody has given it."""
        return super().user_can_authenticate(user) and not user.is_service


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # the package has no types
    """Named by ACCOUNT_ADAPTER."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return _shows_setup_secret(request) or _invited_address(request) is not None

    def clean_email(self, email: str) -> str:
        """An invitation is good for the address that it was sent to."""
        email = email.strip().lower()
        request = allauth_context.request
        if request.path.endswith("/auth/signup") and not _shows_setup_secret(request):
            invited = _invited_address(request)
            if invited is not None and invited != email:
                raise ValidationError("This invitation was sent to another address")
        return email

    def is_email_verified(self, request: HttpRequest, email: str) -> bool:
        """The secret of the console, and a token that came by mail to this address, prove as much as a code does."""
        return _invited_address(request) == email.lower() or _shows_setup_secret(request)

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        if _shows_setup_secret(request):
            user.is_staff = user.is_superuser = True
        saved: User = super().save_user(request, user, form, commit)
        return saved

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        refusal: HttpResponse | None = (
            self.respond_user_inactive(request, user) if user.is_service else super().pre_login(request, user, **kwargs)
        )
        return refusal

    def forget_attempt(self) -> None:
        """The attempt that `pre_authenticate` has counted was none to guess."""
        self._rollback_login_failed_rl_usage()

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: str) -> str:
        # The package's own begins with the Host header, which whoever guesses can change each time.
        return (credentials.get("email") or credentials.get("username") or "").strip().lower()

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        if email.endswith(f"@{SERVICE_DOMAIN}"):
            return
        site = Site("Forjinn", urlsplit(settings.PUBLIC_URL).netloc)
        super().send_mail(template_prefix, email, {**context, "current_site": site})


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # the package has no types
    """Named by SOCIALACCOUNT_ADAPTER. Who a provider vouches for has an account, and no workspace until invited."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Not before set-up, which would be over with the first account, and nobody an operator."""
        return not is_setup_due()

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        for address in sociallogin.email_addresses:
            # Some providers say it in a text; to Python "false" is as true as any.
            address.verified = address.verified in (True, "true")

    def can_authenticate_by_email(self, login: Any, email: str) -> bool:
        """Never: an address at one provider is not proof of an account that was made elsewhere."""
        return False


def _invited_address(request: HttpRequest) -> str | None:
    token = request.headers.get(INVITATION_HEADER, "")
    invitation = find_invitation(token) if token else None
    return invitation.email if invitation else None
