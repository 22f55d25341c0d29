"""Prices in US dollars, by price key, compiled into `CompiledPrice`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from helicone_gw import CompiledPrice, Tiered
from helicone_gw_cost.tables import table

_NANO = 10**9


class _Tier(Protocol):
    @property
    def start(self) -> int: ...

    @property
    def price(self) -> Decimal: ...


class TieredDollars(Protocol):
    """A base price, and others above a number of input tokens; genai-prices' ``TieredPrices`` and ours alike."""

    @property
    def base(self) -> Decimal: ...  # noqa: D102

    @property
    def tiers(self) -> Iterable[_Tier]: ...  # noqa: D102


def compile_price(
    prices: Mapping[str, Decimal | TieredDollars],
    *,
    source: str,
    version: str,
    valid_until: float | None = None,
) -> CompiledPrice | None:
    """The price of a model, or ``None`` when none of its keys prices something that usage counts.

    ``prices`` are US dollars per the key's number of units (``data/units.yaml``). Raises `ValueError` for a price or a
    threshold below zero.
    """
    rates: dict[str, Fraction | Tiered] = {}
    for key, price in prices.items():
        known = table("units")["priced"].get(key)
        if known is None:
            continue
        per = Fraction(_NANO, known["per"])
        if isinstance(price, Decimal):
            rates[known["unit"]] = Fraction(price) * per
        else:
            above = tuple((tier.start, Fraction(tier.price) * per) for tier in price.tiers)
            rates[known["unit"]] = Tiered(Fraction(price.base) * per, above)
    if not rates:
        return None
    return CompiledPrice.of(rates, source=source, version=version, valid_until=valid_until)
