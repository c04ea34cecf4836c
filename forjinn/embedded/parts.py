"""The servers that somebody else runs: whether DATABASE_URL, REDIS_URL and MODEL_URL lead anywhere."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import psycopg
from redis import Redis, RedisError

from forjinn.core.logs import redact
from forjinn.embedded.problems import StartError

ANSWER_S = 5


def check_database(url: str) -> None:
    try:
        psycopg.connect(url, connect_timeout=ANSWER_S).close()
    except psycopg.Error as exc:
        raise _refused("DATABASE_URL", exc, "PostgreSQL") from exc


def check_redis(url: str) -> None:
    try:
        with Redis.from_url(url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S) as redis:
            redis.ping()
    except (RedisError, ValueError) as exc:
        raise _refused("REDIS_URL", exc, "Valkey") from exc


def check_model(url: str) -> None:
    """Any answer will do: what the server wants in a request is between it and a flow's credential."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _refused("MODEL_URL", ValueError("expected http://host:port/v1"), "model")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname, parts.port, timeout=ANSWER_S)
        connection.request("GET", f"{parts.path.rstrip('/')}/models")
        connection.getresponse()
        connection.close()
    except (OSError, ValueError, http.client.HTTPException) as exc:
        raise _refused("MODEL_URL", exc, "model") from exc


def _refused(variable: str, exc: Exception, embedded: str) -> StartError:
    reason = redact(next(iter(str(exc).strip().splitlines()), "") or type(exc).__name__)
    reason = reason.removeprefix("connection failed: ").rstrip(".")
    return StartError(f"{variable}: {reason}. Correct it, or unset it to start the embedded {embedded}")
