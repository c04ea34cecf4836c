"""Typed readers of the environment; no other module reads `os.environ`.

Every reader honours `NAME_FILE`: the value is then the text of that file, as container secrets are handed over.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


class EnvError(Exception):
    """A variable has a value that cannot be read; the message names it and what is expected."""


def env_text(name: str, default: str = "") -> str:
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise EnvError(f"{name}_FILE: cannot read {path}: {exc.strerror}") from exc
        except UnicodeDecodeError as exc:
            raise EnvError(f"{name}_FILE: {path} holds no text in UTF-8") from exc
    return os.environ.get(name, default).strip()


def env_bool(name: str, *, default: bool) -> bool:
    text = env_text(name).lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    if not text:
        return default
    raise EnvError(f"{name}: expected true or false, got {text!r}")


def env_int(name: str, default: int) -> int:
    text = env_text(name)
    try:
        return int(text) if text else default
    except ValueError as exc:
        raise EnvError(f"{name}: expected a whole number, got {text!r}") from exc


def env_list(name: str, default: tuple[str, ...] = ()) -> list[str]:
    text = env_text(name)
    return [part.strip() for part in text.split(",") if part.strip()] if text else list(default)


def database_from_url(url: str) -> dict[str, Any]:
    """Django's DATABASES entry for a `postgresql://user:password@host:port/name?option=value` URL.

    Raises EnvError for another scheme or a URL without a database name.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise EnvError(f"DATABASE_URL: not a URL: {exc}") from exc
    if parts.scheme not in ("postgresql", "postgres"):
        raise EnvError("DATABASE_URL: expected postgresql://user:password@host:port/name")
    if not parts.path.strip("/"):
        raise EnvError(
            "DATABASE_URL: the database name is missing at the end: postgresql://user:password@host:port/name"
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
    }


def oidc_apps(*, issuer: str, client_id: str, secret: str, name: str) -> list[dict[str, Any]]:
    """What django-allauth is told of the operator's sign-in provider; nothing without one.

    Accounts are bound to the provider's id here and the subject there, so the id is made of the issuer: another
    issuer's subjects are other people. Raises EnvError for half a provider.
    """
    if not issuer and not client_id:
        return []
    if not issuer or not client_id or urlsplit(issuer).scheme not in ("https", "http"):
        raise EnvError("OIDC_ISSUER and OIDC_CLIENT_ID go together; the issuer is a URL like https://id.example.com")
    provider_id = f"oidc-{hashlib.sha256(issuer.rstrip('/').encode()).hexdigest()[:8]}"
    settings = {"server_url": issuer, "fetch_userinfo": True}
    return [{"provider_id": provider_id, "name": name, "client_id": client_id, "secret": secret, "settings": settings}]
