"""Whether somebody enforces what a key is limited to: one that nobody holds to its limits is not served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helicone_gw import Unavailable

if TYPE_CHECKING:
    from helicone_gw import GatewayKey, KeyRing


def check_enforced(key: GatewayKey, ring: KeyRing | None) -> None:
    """Raise `Unavailable` where ``key`` has limits or budgets and no plugin of the gateway enforces them."""
    if ring is None or (key.limits and not ring.limits_enforced):
        raise Unavailable(
            f"Key {key.name!r} has limits, and nothing in this gateway enforces them: it needs the plugin ratelimit.",
            code="limits_not_enforced",
        )
    if key.budgets and not ring.budgets_enforced:
        raise Unavailable(
            f"Key {key.name!r} has budgets, and nothing in this gateway enforces them: it needs the plugin ratelimit "
            "with key_budgets.",
            code="limits_not_enforced",
        )
