"""The catalogue: prices out of genai-prices' data, found by provider and model and compiled on first use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from helicone_gw import CompiledPrice
from helicone_gw_cost.compile import compile_price
from helicone_gw_cost.tables import table

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

SOURCE = "genai-prices"


class Catalogue:
    """A `PriceSource` over genai-prices' providers.

    A model that it lists without any price has none here: the data says neither that it is free nor what it costs.
    """

    def __init__(self, providers: Sequence[Provider], edition: str) -> None:
        self._providers = list(providers)
        self._by_id = {provider.id: provider for provider in self._providers}
        self._edition = edition

    @classmethod
    def load(cls) -> Catalogue:
        """The installed data. Takes half a second and 40 MB, which is why nothing imports it earlier."""
        from genai_prices.data_snapshot import get_snapshot

        return cls(get_snapshot().providers, version(SOURCE))

    def price(
        self, provider: str, models: tuple[str, ...], service_tier: str | None, at: float
    ) -> CompiledPrice | None:
        """The price at ``at``, valid until the data's next date or time of day at which it may be another."""
        found = self._find(provider, models)
        if found is None:
            return None
        home, model = found
        moment = datetime.fromtimestamp(at, UTC)
        # Another provider's model, found through a fallback, has that provider's standard price: its tiers are its own.
        context = table("service_tiers").get(service_tier) if any(model is own for own in home.models) else None
        prices = {key: value for key, value in vars(model.get_prices(moment, context)).items() if value is not None}
        return compile_price(
            prices, source=SOURCE, version=self._edition, valid_until=next_change(_constraints(model), moment)
        )

    def _find(self, provider: str, models: tuple[str, ...]) -> tuple[Provider, ModelInfo] | None:
        known = table("providers").get(provider, {"ids": [provider]})
        homes = [self._by_id[one] for one in known["ids"] if one in self._by_id]
        for name in (candidate for asked in models for candidate in _candidates(asked, known)):
            for home in homes:
                if (model := home.find_model(name, all_providers=self._providers)) is not None:
                    return home, model
        return None


def _candidates(model: str, known: dict[str, Any]) -> Iterator[str]:
    yield model
    if known.get("last_segment") and "/" in model:
        yield model.rpartition("/")[2]
    if known.get("prefix") and "/" not in model:
        yield known["prefix"] + model


def _constraints(model: ModelInfo) -> Iterator[Any]:
    from genai_prices.types import ModelPrice

    if not isinstance(model.prices, ModelPrice):
        yield from (price.constraint for price in model.prices if price.constraint is not None)
    yield from (variant.constraint for variant in model.price_variants or () if variant.constraint is not None)


def next_change(constraints: Iterable[Any], after: datetime) -> float | None:
    """When a price under these constraints may next change (epoch seconds), ``None``: never.

    Constraints are genai-prices' ``StartDateConstraint`` (UTC midnight of a day) and ``TimeOfDateConstraint`` (a part
    of every day).
    """
    from genai_prices.types import StartDateConstraint

    changes: list[datetime] = []
    for constraint in constraints:
        if isinstance(constraint, StartDateConstraint):
            start = datetime.combine(constraint.start_date, time(), UTC)
            if start > after:
                changes.append(start)
        else:
            changes.extend(_next(clock, after) for clock in (constraint.start_time, constraint.end_time))
    return min(changes).timestamp() if changes else None


def _next(clock: time, after: datetime) -> datetime:
    """The first moment later than ``after`` (UTC) at which a clock shows ``clock``; without a zone it is UTC."""
    zoned = clock if clock.tzinfo is not None else clock.replace(tzinfo=UTC)
    moment = datetime.combine(after.date(), zoned).astimezone(UTC)
    while moment > after:
        moment -= timedelta(days=1)
    while moment <= after:
        moment += timedelta(days=1)
    return moment
