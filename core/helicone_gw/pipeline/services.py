"""What every run of the pipeline needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from helicone_gw.chain import Chain
from helicone_gw.clock import Clock
from helicone_gw.exchange import Exchange
from helicone_gw.health import Health
from helicone_gw.model import Request, Route, Target
from helicone_gw.pipeline.answer import Answer
from helicone_gw.pipeline.attempts import Attempts
from helicone_gw.pipeline.hooks import HookCaller

if TYPE_CHECKING:
    from helicone_gw.pipeline.timing import Timing

LONG_DEADLINE = 1800.0
"""Seconds that ``Helicone-Increase-Timeout`` gives an exchange to commit."""


class MakeAttempt(Protocol):
    """One attempt at one target: the answer, or the `GatewayError` that it ended with."""

    async def __call__(self, exchange: Exchange, target: Target, *, layer: int, gated: bool) -> Answer:
        """Make it."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What every run needs.

    ``default_route`` is the core's own table, the last word when no plugin routes. ``same_dialect`` says whether a
    target speaks the dialect of a request, so that its errors may pass as they are. ``max_attempts``, ``deadline``
    (seconds until commit) and ``max_event`` (bytes) bound one exchange. ``timing`` says which ones are timed.
    """

    chain: Chain
    caller: HookCaller
    attempts: Attempts
    default_route: Callable[[Exchange], Route]
    same_dialect: Callable[[Request, Target], bool]
    health: Health
    clock: Clock
    max_attempts: int
    deadline: float
    max_event: int
    timing: Timing
