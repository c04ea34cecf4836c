"""Sealing secrets at rest: authenticated encryption, with keys that can be rotated."""

from __future__ import annotations

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class SealBroken(Exception):
    """The text was not sealed with any of the present ENCRYPTION_KEYS, or has been changed since."""


def seal(text: str) -> str:
    """Encrypt with the first of ENCRYPTION_KEYS."""
    return _box(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Decrypt with whichever of ENCRYPTION_KEYS fits. Raises SealBroken."""
    try:
        return _box(tuple(settings.ENCRYPTION_KEYS)).decrypt(sealed.encode()).decode()
    except InvalidToken as exc:
        raise SealBroken("Sealed with a key that is not among ENCRYPTION_KEYS, or changed since") from exc


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
