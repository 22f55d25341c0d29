"""Decisions: what ``on_error`` may answer, besides a `Response` and ``None`` (no opinion)."""

from __future__ import annotations

from dataclasses import dataclass

from helicone_gw.model import Request, Target


@dataclass(frozen=True, slots=True)
class Retry:
    """Try the same target again, ``after`` seconds from now."""

    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Fallback:
    """Try another target: this one, or the route's next healthy one.

    ``request`` takes the place of the exchange's from here on, where the target is to be asked something else.
    """

    target: Target | None = None
    request: Request | None = None
