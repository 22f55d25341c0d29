"""Limits: how much each target has left of its rate limits, as providers say in their answers' headers."""

from __future__ import annotations

from collections import OrderedDict

from helicone_gw import Headers, Target

MAX_TARGETS = 10_000
"""Targets remembered, the one heard of longest ago is forgotten first."""

FRESH = 60.0
"""Seconds for which a provider's word counts; its windows are a minute long."""

_PAIRS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-limit-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-limit-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-limit"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-limit"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-limit"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-limit"),
    ("x-ratelimit-remaining", "x-ratelimit-limit"),
)


class Headroom:
    """The smallest share that is left of any of a target's limits, 0 to 1."""

    def __init__(self) -> None:
        self._left: OrderedDict[Target, tuple[float, float]] = OrderedDict()

    def heard(self, target: Target, headers: Headers, now: float) -> None:
        """Read an answer's headers. ``now`` is monotonic."""
        shares = [share for pair in _PAIRS if (share := _share(headers.get(pair[0]), headers.get(pair[1]))) is not None]
        if not shares:
            return
        self._left[target] = (min(shares), now)
        self._left.move_to_end(target)
        if len(self._left) > MAX_TARGETS:
            self._left.popitem(last=False)

    def of(self, target: Target, now: float) -> float:
        """What is left; 1 where nothing was heard for a minute."""
        share, at = self._left.get(target, (1.0, now))
        return share if now - at < FRESH else 1.0


def _share(remaining: str | None, limit: str | None) -> float | None:
    try:
        left, whole = float(remaining or ""), float(limit or "")
    except ValueError:
        return None
    return min(1.0, max(0.0, left / whole)) if whole > 0 else None
