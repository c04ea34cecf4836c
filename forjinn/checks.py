"""System checks: each names what is misconfigured, and the fix. Every command runs them before it starts.

Servers are no commands: in production they, too, refuse to start where the secrets or the host names are not safe.
"""

from __future__ import annotations

import logging
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.urls import get_resolver

from engine.egress import read_allowance
from forjinn.core.permissions import WORDS, Route, alternatives, routes
from forjinn.env import EnvError
from workspaces.permissions import PERMISSIONS

WEAK = 32  # characters; what our own first start generates is longer
POSITIVE = (
    "AUDIT_RETENTION_D",
    "DATABASE_POOL_SIZE",
    "PREDICTION_TIMEOUT_S",
    "PREDICTION_MAX_TOKENS",
    "PREDICTION_CONCURRENCY",
    "PREDICTION_WAIT_EXPIRY_H",
    "MEMORY_MAX_MESSAGES",
    "STREAM_RETENTION_S",
)
FEW = 8  # different characters; 32 random hexadecimal digits have more


def refuse_unsafe_start() -> None:
    """Raises EnvError in production with all that makes a start unsafe; whatever starts calls it."""
    if settings.PRODUCTION and (problems := [*check_secrets(), *check_hosts()]):
        raise EnvError(" ".join(f"{problem.msg} {problem.hint}" for problem in problems))


@register
def check_services(**_: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    if not settings.DATABASE_URL:
        problems.append(
            Error(
                "DATABASE_URL is not set, and no embedded PostgreSQL is running.",
                hint="Set DATABASE_URL=postgresql://user:password@host/name, or start everything with `make run`.",
                id="forjinn.E001",
            )
        )
    if not settings.REDIS_URL:
        problems.append(
            Error(
                "REDIS_URL is not set, and no embedded Redis is running.",
                hint="Set REDIS_URL=redis://host:6379/0, or start everything with `make run`.",
                id="forjinn.E002",
            )
        )
    return problems


@register
def check_secrets(**_: Any) -> list[CheckMessage]:
    """Outside production the embedded state supplies secrets of its own; in production nothing is made up."""
    problems: list[CheckMessage] = [
        Error(f"{name} is {problem}.", hint=f"Set {name} (or {name}_FILE): `{make}`.", id=f"forjinn.{check_id}")
        for name, value, make, check_id in (
            ("SECRET_KEY", _secret_key(), "openssl rand -base64 48", "E003"),
            ("API_KEY_PEPPER", settings.API_KEY_PEPPER, "openssl rand -base64 48", "E004"),
        )
        if (problem := _weakness(value))
    ]
    if settings.SETUP_SECRET and (problem := _weakness(settings.SETUP_SECRET)):
        problems.append(
            Error(
                f"SETUP_SECRET is {problem}: whoever guesses it before you have an account has the server.",
                hint="Set it to what `openssl rand -base64 48` prints, or leave it out: one is made of SECRET_KEY.",
                id="forjinn.E011",
            )
        )
    if not settings.ENCRYPTION_KEYS or not all(map(_is_good_key, settings.ENCRYPTION_KEYS)):
        problems.append(
            Error(
                "ENCRYPTION_KEYS must hold keys of 32 random bytes in URL-safe base64, at least one, comma-separated.",
                hint="Make one: `openssl rand -base64 32 | tr '+/' '-_'`. The first seals; keep old ones behind it.",
                id="forjinn.E005",
            )
        )
    return problems


@register
def check_log_level(**_: Any) -> list[CheckMessage]:
    if settings.LOG_LEVEL in logging.getLevelNamesMapping():
        return []
    known = ", ".join(name for name in logging.getLevelNamesMapping() if name != "NOTSET")
    return [Error(f"LOG_LEVEL is '{settings.LOG_LEVEL}'.", hint=f"Use one of {known}.", id="forjinn.E006")]


@register
def check_numbers(**_: Any) -> list[CheckMessage]:
    return [
        Error(f"{name} is {value}.", hint=f"Set {name} to 1 or more, or leave it out.", id="forjinn.E009")
        for name in POSITIVE
        if (value := getattr(settings, name)) < 1
    ]


@register
def check_hosts(**_: Any) -> list[CheckMessage]:
    if not settings.PRODUCTION or "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Error(
            "ALLOWED_HOSTS accepts every host name in production.",
            hint="Set ALLOWED_HOSTS to the names that this server is reached by, comma-separated.",
            id="forjinn.E007",
        )
    ]


@register
def check_egress(**_: Any) -> list[CheckMessage]:
    return [
        Error(
            f"EGRESS_ALLOW names {entry!r}, which is no host, host:port or network.",
            hint="Separate entries by commas: EGRESS_ALLOW=localhost:11434,models.internal,10.1.0.0/16.",
            id="forjinn.E008",
        )
        for entry in settings.EGRESS_ALLOW
        if not _is_allowance(entry)
    ]


@register
def check_proxy(**_: Any) -> list[CheckMessage]:
    if not settings.PRODUCTION or settings.SECURE_PROXY_SSL_HEADER or settings.CSRF_TRUSTED_ORIGINS:
        return []
    return [
        Warning(
            "In production sign-in cookies travel over HTTPS only, but nothing says that a proxy ends HTTPS.",
            hint="Behind a proxy that sets X-Forwarded-Proto, set TRUST_PROXY=true and CSRF_TRUSTED_ORIGINS.",
            id="forjinn.W001",
        )
    ]


@register
def check_public_url(**_: Any) -> list[CheckMessage]:
    """A link that resets a password is good for whoever reads it on its way."""
    if not settings.PRODUCTION or settings.PUBLIC_URL.startswith("https://"):
        return []
    return [
        Warning(
            f"Links in mails, which reset passwords, begin with {settings.PUBLIC_URL}: not with https://.",
            hint="Set PUBLIC_URL to the address at which people reach this server over HTTPS.",
            id="forjinn.W002",
        )
    ]


@register
def check_rules(**_: Any) -> list[CheckMessage]:
    """A view that names no rule is closed, and nobody meant it to be."""
    return [
        Error(
            f"/{route.path} names no rule for {method}.",
            hint=f"Give {route.view.__module__}.{route.view.__name__} an entry in `needs` (forjinn.core.permissions).",
            id="forjinn.E010",
        )
        for route in routes(get_resolver().url_patterns)
        for method in _unruled(route)
    ]


def _unruled(route: Route) -> list[str]:
    """The methods that a route serves by no rule, or by one that is neither a permission nor a word."""
    return [
        method
        for method in route.methods
        if (rule := route.needs.get(method)) is None or not (PERMISSIONS | WORDS).issuperset(alternatives(rule))
    ]


def _weakness(value: str) -> str:
    if not value:
        return "not set"
    if len(value) < WEAK:
        return "too short"
    return "easily guessed" if len(set(value)) < FEW or value.startswith("django-insecure-") else ""


def _secret_key() -> str:
    try:
        return settings.SECRET_KEY
    except ImproperlyConfigured:  # Django's own words for an empty one, without the way out
        return ""


def _is_allowance(entry: str) -> bool:
    try:
        read_allowance(entry)
    except ValueError:
        return False
    return True


def _is_good_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return not _weakness(key)
