"""Whether a request goes to a provider with a key of its caller's own, where everything is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from helicone_gw import Exchange


def own_providers(exchange: Exchange, at: Callable[[str], str]) -> set[str]:
    """The providers at which the caller has a key of its own, where everything is its own.

    Where no provider is implied, a client's own key goes to the address that it names; ``at`` says whose that is. Not
    where it names others to fall back on: they may be asked with the operator's.
    """
    own = set(exchange.provider_keys)
    if exchange.credential is not None:
        own.add(exchange.credential.provider)
        helicone = exchange.request.helicone
        if not exchange.credential.provider and not helicone.fallbacks_raw:
            own |= {at(url) for url in (helicone.openai_api_base, helicone.target_url) if url}
    return own - {""}


def with_own_key(exchange: Exchange) -> bool:
    """Whether the last attempt was with a key of the caller's own."""
    target, credential = exchange.attempts[-1].target if exchange.attempts else None, exchange.credential
    if target is None:
        return False
    if target.provider in exchange.provider_keys:
        return True
    return credential is not None and (target.base_url is not None or credential.provider == target.provider)
