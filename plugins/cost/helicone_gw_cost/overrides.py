"""Overrides: prices from the configuration and from the plugin's own table, first match wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from helicone_gw import CompiledPrice, ConfigError
from helicone_gw_cost.compile import compile_price
from helicone_gw_cost.config import PriceEntry, PriceFields
from helicone_gw_cost.tables import table


@dataclass(frozen=True, slots=True)
class Override:
    """One price, with what it is for; patterns are lower-case and shell-style, ``tier`` ``None`` is every tier."""

    providers: tuple[str, ...]
    models: tuple[str, ...]
    tier: str | None
    price: CompiledPrice
    exact: bool = False

    def fits(self, provider: str, model: str, tier: str | None) -> bool:
        """Whether this is the price of ``model`` (lower-case)."""
        if self.tier is not None and self.tier != tier:
            return False
        if not any(fnmatchcase(provider, pattern) for pattern in self.providers):
            return False
        return model in self.models if self.exact else any(fnmatchcase(model, pattern) for pattern in self.models)


class Overrides:
    """A `PriceSource` over a list of overrides."""

    def __init__(self, overrides: Iterable[Override]) -> None:
        self._overrides = tuple(overrides)

    def price(
        self, provider: str, models: tuple[str, ...], service_tier: str | None, at: float
    ) -> CompiledPrice | None:
        """The first override that fits, for the first of ``models`` that has one."""
        for model in models:
            name = model.lower()
            for override in self._overrides:
                if override.fits(provider, name, service_tier):
                    return override.price
        return None


def from_entries(entries: Iterable[PriceEntry], *, source: str = "config", version: str = "") -> list[Override]:
    """The plugin's own ``prices``, in their order."""
    return [
        Override((entry.provider,), (entry.match.lower(),), entry.service_tier, _compiled(entry, source, version))
        for entry in entries
    ]


def from_models(models: Mapping[str, Any]) -> list[Override]:
    """The prices of the configuration's ``models``, for the entry's providers if it has any.

    An entry (a mapping or an object) has ``price``, and may have ``aliases``, ``model`` (its name upstream) and
    ``providers``. The price is for exactly these names. Raises `ConfigError` with one line per problem.
    """
    overrides: list[Override] = []
    problems: list[str] = []
    for name, model in models.items():
        price = _field(model, "price")
        if price is None:
            continue
        given = price.model_dump(exclude_none=True) if isinstance(price, BaseModel) else price
        try:
            fields = PriceFields.model_validate(given)
        except ValidationError as problem:
            for error in problem.errors():
                where = ".".join(str(part) for part in ("models", name, "price", *error["loc"]))
                problems.append(f"{where}: {error['msg']}")
            continue
        names = tuple(one.lower() for one in (name, *(_field(model, "aliases") or ()), _field(model, "model")) if one)
        providers = tuple(str(provider) for provider in _field(model, "providers") or ()) or ("*",)
        overrides.append(Override(providers, names, None, _compiled(fields, "config", ""), exact=True))
    if problems:
        raise ConfigError(problems)
    return overrides


def built_in(version: str) -> Overrides:
    """The prices that ship with the plugin (``data/prices.yaml``)."""
    entries = TypeAdapter(list[PriceEntry]).validate_python(table("prices"))
    return Overrides(from_entries(entries, source="built-in", version=version))


def _field(model: Any, name: str) -> Any:
    return model.get(name) if isinstance(model, Mapping) else getattr(model, name, None)


def _compiled(fields: PriceFields, source: str, version: str) -> CompiledPrice:
    price = compile_price(fields.prices(), source=source, version=version)
    if price is None:
        raise ValueError("a price needs at least one field that usage counts")
    return price
