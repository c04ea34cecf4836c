"""What vendors' own packages raise, as ProviderErrors: each of them has classes of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from engine.errors import EngineError, ProviderError
from engine.providers.refusals import MAX_MESSAGE, refusal, scrub

# Names of the classes that vendors' clients raise when no answer came, and of their bases.
UNREACHABLE = frozenset(
    {
        "APIConnectionError",
        "APITimeoutError",
        "TransportError",
        "ConnectError",
        "ConnectionError",
        "HTTPClientError",
        "ReadTimeout",
    }
)


@contextmanager
def explained(host: str, secrets: Sequence[str]) -> Iterator[None]:
    """Turn what a package raises into a ProviderError that names the host, and never repeats a secret."""
    try:
        yield
    except EngineError:
        raise
    # Every vendor's package has classes of its own, with nothing in common but Exception.
    except Exception as exc:
        # What our own way out said has been wrapped by the package that went along it.
        raise _own(exc) or _failure(exc, host, secrets) from exc


def _own(exc: BaseException | None) -> EngineError | None:
    while exc is not None and not isinstance(exc, EngineError):
        exc = exc.__cause__
    return exc


def _failure(exc: Exception, host: str, secrets: Sequence[str]) -> ProviderError:
    status, headers = _answer(exc)
    if status is not None:
        said = getattr(exc, "body", None) or str(exc)
        # A failure in the middle of a stream comes with the status of its beginning.
        return refusal(host, status if status >= 400 else 0, said, headers=headers, secrets=secrets)
    names = {base.__name__ for base in type(exc).__mro__}
    if isinstance(exc, OSError | TimeoutError) or names & UNREACHABLE:
        return ProviderError(f"The connection to {host} failed or broke off.", retryable=True)
    return ProviderError(f"{host} could not be asked: {scrub(str(exc), secrets)[:MAX_MESSAGE]}", retryable=False)


def _answer(exc: Exception) -> tuple[int | None, Mapping[str, Any]]:
    """The status and headers of the answer that it is about; None if it is about none."""
    response = getattr(exc, "response", None)
    if isinstance(response, Mapping):  # botocore's way
        told = response.get("ResponseMetadata") or {}
        status, headers = told.get("HTTPStatusCode"), told.get("HTTPHeaders") or {}
    else:
        status = getattr(exc, "status_code", None) or getattr(response, "status_code", None)
        headers = dict(getattr(response, "headers", {}))
    return status if isinstance(status, int) else None, {name.lower(): value for name, value in headers.items()}
