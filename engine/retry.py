"""What happens when a node fails: tried again, waited for no longer, or left behind. Off unless the node says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from engine.context import Clock
from engine.errors import FlowError, NodeTimeout, ProviderError
from engine.spec import NodeResult

OnError = Literal["fail", "continue", "branch"]
CHOICES: tuple[OnError, ...] = ("fail", "continue", "branch")
Failure = Literal["rateLimit", "timeout", "server", "connection"]
FAILURES: tuple[Failure, ...] = ("rateLimit", "timeout", "server", "connection")
TOO_MANY_REQUESTS = 429
TIMEOUTS = frozenset({408, 504})
MOST_RETRIES = 10
LONGEST_S = 3600.0
ERROR_HANDLE = "error"  # of `<node id>-output-error`: the way out that "branch" takes


@dataclass(frozen=True, slots=True)
class Fallback:
    """The model that stands in: a node type, and its inputs as a v2 node configures a component."""

    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Policy:
    """A node's own, from `data.policy` in the flow; every key may be left out:

        {"retry": {"max": 2, "baseSeconds": 0.5, "ceilingSeconds": 8, "on": ["rateLimit", "timeout"]},
         "timeoutSeconds": 30, "onError": "fail" | "continue" | "branch", "concurrent": true,
         "fallbackModel": {"name": "chatOpenAI", "config": {"modelName": "gpt-4o-mini", ...}}}

    A retry follows a ProviderError that may pass, or a timeout, unless the node has already said something or, as an
    agent, called a tool. `on` keeps it to some of these: "rateLimit", "timeout" (the policy's or the vendor's),
    "server" (any other answer that refuses) and "connection" (no answer, or one that broke off); left out, all.
    `fallbackModel`: when the model that the node itself asks fails after the retries, or the node's time is up, the
    node runs once more with this model instead; under the same condition, so not behind an agent's first tool.
    "continue" goes on with `{"error": message}` as the node's output; "branch" does, along the edges of its handle
    "error" alone.
    `concurrent` lets a node run beside those that are ready before it: it then sees state and messages as they were
    when it became ready.
    """

    retries: int = 0
    base_s: float = 0.5
    ceiling_s: float = 8.0
    retried: frozenset[Failure] = frozenset(FAILURES)
    timeout_s: float | None = None
    on_error: OnError = "fail"
    concurrent: bool = False
    fallback: Fallback | None = None


NONE = Policy()


def read_policy(raw: Mapping[str, Any], label: str) -> Policy:
    """Raises FlowError if a value makes no sense."""
    if not raw:
        return NONE
    retry = raw.get("retry") or {}
    if not isinstance(retry, Mapping):
        raise FlowError(f"The policy of {label} is wrong: retry must be an object such as {{'max': 2}}.")
    on_error = raw.get("onError", "fail")
    if on_error not in CHOICES:
        raise FlowError(f"The policy of {label} is wrong: onError must be one of {', '.join(CHOICES)}.")
    timeout = raw.get("timeoutSeconds")
    return Policy(
        retries=int(_bounded(retry.get("max", 0), "retry.max", label, MOST_RETRIES)),
        base_s=_bounded(retry.get("baseSeconds", 0.5), "retry.baseSeconds", label, LONGEST_S),
        ceiling_s=_bounded(retry.get("ceilingSeconds", 8), "retry.ceilingSeconds", label, LONGEST_S),
        retried=_failures(retry.get("on", FAILURES), label),
        timeout_s=None if timeout is None else _bounded(timeout, "timeoutSeconds", label, LONGEST_S),
        on_error=on_error,
        concurrent=raw.get("concurrent") is True,
        fallback=_fallback(raw.get("fallbackModel"), label),
    )


def backoff(attempt: int, *, base_s: float, ceiling_s: float, rng: Random) -> float:
    """Seconds to wait before retry number `attempt` (the first is 1).

    Full jitter, uniform over [0, min(ceiling_s, base_s * 2**attempt)], so that workers
    that failed together do not return together. Source: M. Brooker, "Exponential Backoff
    and Jitter", 2015.
    """
    return rng.uniform(0, min(ceiling_s, base_s * 2**attempt))


async def tried(
    run: Callable[[], Awaitable[NodeResult]],
    policy: Policy,
    *,
    clock: Clock,
    rng: Random,
    may_repeat: Callable[[], bool],
) -> NodeResult:
    """What `run` gives, after as many tries as the policy allows. `may_repeat` says whether nothing was said so far."""
    attempt = 0
    while True:
        try:
            return await timed(run, policy.timeout_s)
        except (ProviderError, NodeTimeout) as exc:
            attempt += 1
            is_final = isinstance(exc, ProviderError) and not exc.retryable
            if is_final or _failure(exc) not in policy.retried or attempt > policy.retries or not may_repeat():
                raise
            asked = exc.retry_after_s if isinstance(exc, ProviderError) else None
        await clock.sleep(
            backoff(attempt, base_s=policy.base_s, ceiling_s=policy.ceiling_s, rng=rng)
            if asked is None
            else min(asked, policy.ceiling_s)
        )


def _failure(exc: ProviderError | NodeTimeout) -> Failure:
    # A vendor's silence has no status; what it was raised from tells it from a connection that was refused.
    if isinstance(exc, NodeTimeout) or exc.status in TIMEOUTS or isinstance(exc.__cause__, TimeoutError):
        return "timeout"
    if exc.status == TOO_MANY_REQUESTS:
        return "rateLimit"
    return "server" if exc.status else "connection"


async def timed(run: Callable[[], Awaitable[NodeResult]], limit_s: float | None) -> NodeResult:
    """What `run` gives. Raises NodeTimeout if that takes longer than the limit, None being no limit."""
    if limit_s is None:
        return await run()
    try:
        async with asyncio.timeout(limit_s) as limit:
            return await run()
    except TimeoutError as exc:
        if not limit.expired():
            raise
        raise NodeTimeout(f"It took longer than the {limit_s:g} seconds that its policy allows.") from exc


def _fallback(raw: Any, label: str) -> Fallback | None:
    if raw is None:
        return None
    name, config = (raw.get("name"), raw.get("config", {})) if isinstance(raw, Mapping) else (None, None)
    if not isinstance(name, str) or not name or not isinstance(config, Mapping):
        raise FlowError(
            f"The policy of {label} is wrong: fallbackModel must be an object such as "
            "{'name': 'chatOpenAI', 'config': {'modelName': 'gpt-4o-mini'}}."
        )
    return Fallback(name, config)


def _failures(value: Any, label: str) -> frozenset[Failure]:
    chosen = frozenset(known for known in FAILURES if known in value) if isinstance(value, list | tuple) else None
    if not chosen or len(chosen) != len(value):
        raise FlowError(
            f"The policy of {label} is wrong: retry.on must be a list of some of {', '.join(FAILURES)}, each once, "
            f"not {value!r}."
        )
    return chosen


def _bounded(value: Any, name: str, label: str, most: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= most:
        raise FlowError(f"The policy of {label} is wrong: {name} must be a number from 0 to {most:g}, not {value!r}.")
    return number
