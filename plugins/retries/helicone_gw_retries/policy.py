"""Policy: what of a request is retried, how often, and after which wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from helicone_gw import (
    Request,
    UpstreamConnectError,
    UpstreamError,
    UpstreamStatus,
    UpstreamStreamError,
    UpstreamTimeout,
)
from helicone_gw_retries.config import status_range

if TYPE_CHECKING:
    from helicone_gw import HeliconeHeaders
    from helicone_gw_retries.config import PolicyConfig, RetriesConfig, Transport

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods that may be repeated whatever became of the first try (RFC 9110 9.2.2)."""

NOT_STARTED = frozenset({429, 503, 529})
"""Statuses that say that the provider did not begin with the work."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How retries go: ``num`` after the first attempt, waits in seconds, inclusive ranges of statuses."""

    enabled: bool
    num: int
    factor: float
    min_timeout: float
    max_timeout: float
    statuses: tuple[tuple[int, int], ...]
    transport: frozenset[Transport]

    def retries(self, error: UpstreamError, request: Request) -> bool:
        """Whether ``error`` is of a kind that is retried for ``request``."""
        if isinstance(error, UpstreamStatus):
            wish = error.response.headers.get("x-should-retry")
            if wish in ("false", "true"):  # OpenAI's word for its own SDKs
                return wish == "true"
        if isinstance(error, (UpstreamStatus, UpstreamStreamError)):
            kind = any(first <= error.status <= last for first, last in self.statuses)
            return kind and (repeatable(request) or error.status in NOT_STARTED)
        if isinstance(error, UpstreamConnectError):
            return "connect" in self.transport
        kind = ("timeout" if isinstance(error, UpstreamTimeout) else "broken") in self.transport
        return kind and repeatable(request)

    def wait(self, retry: int, wished: float | None, random: Callable[[], float]) -> float | None:
        """Seconds to wait before the ``retry``-th retry (from 1), ``None``: the provider wants too long a wait.

        Full jitter: evenly between 0 and ``min_timeout * factor ** (retry - 1)``, at most ``max_timeout``; never less
        than what the provider ``wished`` (``Retry-After``). ``random`` gives numbers from 0 to 1.
        """
        if wished is not None and wished > self.max_timeout:
            return None
        try:
            longest = min(self.max_timeout, self.min_timeout * self.factor ** (retry - 1))
        except OverflowError:
            longest = self.max_timeout
        return max(wished or 0.0, longest * random())


def repeatable(request: Request) -> bool:
    """Whether sending ``request`` twice does no more than cost twice: a generation, or a method that is idempotent.

    A POST that names no model (a batch, a thread, a fine-tuning job) makes something, and perhaps has.
    """
    return request.model is not None or request.method in SAFE


class Policies:
    """The policies of a configuration: one for all, and those of single routes and models, in their order."""

    def __init__(self, config: RetriesConfig) -> None:
        self.default = Policy(
            enabled=config.enabled,
            num=config.num,
            factor=config.factor,
            min_timeout=config.min_timeout,
            max_timeout=config.max_timeout,
            statuses=tuple(map(status_range, config.statuses)),
            transport=frozenset(config.transport),
        )
        self._special = tuple((pattern, _changed(self.default, each)) for pattern, each in config.routes.items())

    def of(self, route: str, model: str | None, headers: HeliconeHeaders) -> Policy:
        """The policy for a named route ("" when it has none) and a model; the request's headers go before both."""
        policy = self.default
        if self._special:
            names = [name for name in (route, model) if name]
            fitting = (each for pattern, each in self._special if any(fnmatchcase(name, pattern) for name in names))
            policy = next(fitting, policy)
        said = headers.retry
        if said.enabled is None:
            return policy
        return replace(
            policy,
            enabled=said.enabled,
            num=policy.num if said.num is None else said.num,
            factor=policy.factor if said.factor is None else max(1.0, said.factor),
            min_timeout=policy.min_timeout if said.min_timeout_ms is None else said.min_timeout_ms / 1000,
            max_timeout=policy.max_timeout if said.max_timeout_ms is None else said.max_timeout_ms / 1000,
        )


def _changed(policy: Policy, by: PolicyConfig) -> Policy:
    changes = {
        name: value
        for name in ("enabled", "num", "factor", "min_timeout", "max_timeout")
        if (value := getattr(by, name)) is not None
    }
    if by.statuses is not None:
        changes["statuses"] = tuple(map(status_range, by.statuses))
    if by.transport is not None:
        changes["transport"] = frozenset(by.transport)
    return replace(policy, **changes)


def client_patience(request: Request) -> float | None:
    """Seconds after which the client's SDK gives up, as it says itself; ``None`` when it does not.

    The SDKs of OpenAI and Anthropic send ``x-stainless-timeout`` and ``x-stainless-read-timeout``, in seconds.
    """
    given = (request.headers.get(name) for name in ("x-stainless-timeout", "x-stainless-read-timeout"))
    return min((seconds for text in given if (seconds := _seconds(text)) is not None), default=None)


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None
