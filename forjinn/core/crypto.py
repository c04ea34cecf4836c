"""Sealing secrets at rest: authenticated encryption, with keys that can be rotated."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class SealBroken(Exception):
    """The text was not sealed with any of the present ENCRYPTION_KEYS, or has been changed since."""


class SealedTextField(models.TextField):  # type: ignore[type-arg]  # generic for the type checker only
    """A column of sealed texts, or "". Rotating the keys finds it by its class."""

    def deconstruct(self) -> Any:
        """To migrations it is any other text: they stay when this class goes."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs


def seal(text: str) -> str:
    """Encrypt with the first of ENCRYPTION_KEYS."""
    return _box(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Decrypt with whichever of ENCRYPTION_KEYS fits. Raises SealBroken."""
    try:
        return _box(tuple(settings.ENCRYPTION_KEYS)).decrypt(sealed.encode()).decode()
    except InvalidToken as exc:
        raise SealBroken("Sealed with a key that is not among ENCRYPTION_KEYS, or changed since") from exc


def is_sealed_with_first(sealed: str) -> bool:
    """Whether the first of ENCRYPTION_KEYS opens it; the others could then go."""
    try:
        _box(tuple(settings.ENCRYPTION_KEYS[:1])).decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
