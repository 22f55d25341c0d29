"""Headers: what a client is told of the limits on its request, and the refusal when one is reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from helicone_gw import TooManyRequests

if TYPE_CHECKING:
    from helicone_gw import Exchange

LIMIT, REMAINING = "Helicone-RateLimit-Limit", "Helicone-RateLimit-Remaining"
RESET, POLICY = "Helicone-RateLimit-Reset", "Helicone-RateLimit-Policy"
WARNING = "Helicone-Warning"


class Standing(Struct, frozen=True):
    """How a limit stands after a request.

    ``policy`` and ``limit`` as a client reads them, ``unit`` in the plural, ``remaining`` whole units that are left,
    ``share`` the part of the quota that is left (0 to 1; below: a debt), ``reset`` and ``wait`` microseconds until
    nothing is used, and until this request would be admitted (0: it was).
    """

    name: str
    policy: str
    limit: str
    unit: str
    remaining: int
    share: float
    reset: int
    wait: int = 0


def limit_headers(standings: Sequence[Standing]) -> dict[str, str]:
    """The headers of the limit that binds most: where the longest wait is, or else where the smallest share is left."""
    if not standings:
        return {}
    binding = standings[0]
    if len(standings) > 1:
        binding = min(standings, key=lambda standing: (-standing.wait, standing.share))
    fields = {LIMIT: binding.limit, REMAINING: str(binding.remaining), POLICY: binding.policy}
    if binding.reset > 0:
        fields[RESET] = str(seconds(binding.reset))
    return fields


def seconds(microseconds: int) -> int:
    """Whole seconds, rounded up: a client that waits so long does not come too early."""
    return -(-microseconds // 1_000_000)


def refusal(standing: Standing, code: str = "rate_limit_exceeded") -> TooManyRequests:
    """429 for a limit that is reached, with waits that are right in ``Retry-After`` and ``retry-after-ms``."""
    wait = seconds(standing.wait)
    unit = standing.unit.removesuffix("s") if standing.limit == "1" else standing.unit
    return TooManyRequests(
        f"Rate limit reached: {standing.limit} {unit} ({standing.policy}). "
        f"Try again in {wait} second{'' if wait == 1 else 's'}.",
        code=code,
        headers={
            "Retry-After": str(wait),
            "retry-after-ms": str(-(-standing.wait // 1000)),
            **limit_headers([standing]),
        },
        details={
            "limit": standing.limit,
            "unit": standing.unit,
            "remaining": standing.remaining,
            "policy": standing.policy,
            "name": standing.name,
            "retryAfterMs": -(-standing.wait // 1000),
        },
    )


def warn(exchange: Exchange, text: str) -> None:
    """Add a warning for the client, behind those that others have given."""
    said = exchange.headers.get(WARNING)
    exchange.headers[WARNING] = text if said is None else f"{said}; {text}"
