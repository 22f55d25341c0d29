"""``helicone-gw cost``: look up prices from the command line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from helicone_gw import UNITS, CompiledPrice, ConfigError, Prices
from helicone_gw_cost.catalogue import Catalogue
from helicone_gw_cost.config import CostConfig, PriceEntry
from helicone_gw_cost.overrides import Overrides, built_in, from_entries, from_models
from helicone_gw_cost.tables import table

PRICES = "helicone_gw.prices"
"""Where the context says how prices are opened, for commands of other plugins in this group: a file of prices that win
over all others, or ``None``, and the clock by which prices are chosen (epoch seconds)."""


def commands(config: CostConfig) -> typer.Typer:
    """The ``cost`` command group. The context's root object, when it has ``models``, is the gateway's configuration."""
    group = typer.Typer(help="Prices of models.", no_args_is_help=True)

    @group.callback()
    def root(context: typer.Context) -> None:
        """Prices of models."""

        def opened(price_file: Path | None, now: Callable[[], float]) -> Prices:
            try:
                return open_prices(config, context.find_root().obj.config.models, now, price_file)
            except ConfigError as problem:
                typer.echo(str(problem), err=True)
                raise typer.Exit(2) from None

        context.meta[PRICES] = opened

    @group.command()
    def price(
        context: typer.Context,
        model: Annotated[str, typer.Argument(help="The model, as its provider calls it.")],
        provider: Annotated[
            str | None, typer.Option(help="One provider; left out: every one that has a price.")
        ] = None,
        service_tier: Annotated[str | None, typer.Option(help="batch, flex, priority or fast.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object per provider and line.")] = False,
    ) -> None:
        """Show what MODEL costs now, and whose price that is."""
        models = context.find_root().obj.config.models
        try:
            prices = open_prices(config, models)
        except ConfigError as problem:
            typer.echo(str(problem), err=True)
            raise typer.Exit(2) from None
        providers = [provider] if provider is not None else every_provider(config, models)
        found = {name: known for name in providers if (known := prices.find(name, model, service_tier)) is not None}
        if not found:
            whose = f"of {provider}" if provider else "of any provider"
            typer.echo(f"No price for {model!r} {whose}: its cost is recorded as unknown.", err=True)
            typer.echo("Set one under `prices` of the cost plugin, or as `price` under `models`.", err=True)
            raise typer.Exit(1)
        if as_json:
            for name, known in found.items():
                typer.echo(json.dumps({"provider": name, "model": model, **price_object(known)}))
            return
        console = Console()
        for name, known in found.items():
            console.print(price_table(f"{name}/{model}", known))

    return group


def open_prices(
    config: CostConfig,
    models: Mapping[str, Any],
    now: Callable[[], float] = time.time,
    price_file: Path | None = None,
) -> Prices:
    """The price service as the gateway would have it, with the prices in force at ``now`` (epoch seconds).

    Those in ``price_file`` win. Raises `ConfigError` for a wrong price under ``models`` or in that file.
    """
    prices = Prices(now)
    if price_file is not None:
        prices.use(Overrides(from_entries(read_entries(price_file), source=price_file.name)))
    prices.use(Overrides((*from_models(models), *from_entries(config.prices))))
    prices.use(built_in(version("helicone-gw-cost")))
    if config.catalogue:
        prices.use(Catalogue.load())
    return prices


def read_entries(path: Path) -> list[PriceEntry]:
    """The entries of a YAML file: a list as under the plugin's ``prices``, or a mapping that has it there.

    Raises `ConfigError`, with a line for each problem.
    """
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as problem:
        raise ConfigError([f"{path.name}: {problem}".splitlines()[0]]) from None
    entries = content.get("prices") if isinstance(content, Mapping) else content
    try:
        return TypeAdapter(list[PriceEntry]).validate_python(entries)
    except ValidationError as problem:
        lines = [(".".join(map(str, error["loc"])), error["msg"]) for error in problem.errors()]
        raise ConfigError([f"{path.name}: {f'{where}: ' if where else ''}{what}" for where, what in lines]) from None


def every_provider(config: CostConfig, models: Mapping[str, Any]) -> list[str]:
    """Every provider that may have a price: of the tables, of the plugin's configuration, of ``models``."""
    named: list[str] = [*table("providers"), *(entry["provider"] for entry in table("prices"))]
    named += [entry.provider for entry in config.prices]
    for entry in models.values():
        of_entry = entry.get("providers") if isinstance(entry, Mapping) else getattr(entry, "providers", None)
        named += [str(provider) for provider in of_entry or ()]
    return [name for name in dict.fromkeys(named) if not set(name) & set("*?[")]


def price_object(price: CompiledPrice) -> dict[str, Any]:
    """The price for ``--json``.

    ``tiers`` go upwards, each for requests with more input tokens than ``above_input_tokens`` (null: for all). ``usd``
    has dollars per million of each unit, of web searches and requests per thousand; null is unknown. ``valid_until``,
    in epoch seconds: when the price may change (null: nobody knows of that).
    """
    tiers = [
        {
            "above_input_tokens": None if threshold < 0 else threshold,
            "usd": {unit: _usd(rate, price.scale, _per(unit)) for unit, rate in zip(UNITS, rates, strict=True)},
        }
        for threshold, rates in price.tiers
    ]
    told = {"source": price.source, "version": price.version or None, "valid_until": price.valid_until}
    return {**told, "tiers": tiers}


def price_table(title: str, price: CompiledPrice) -> Table:
    """The price, one row per unit: US dollars per million tokens, or per thousand."""
    shown = Table(title=title, caption=_caption(price), title_justify="left", caption_justify="left")
    shown.add_column("unit")
    for threshold, _ in price.tiers:
        shown.add_column("USD" if threshold < 0 else f"USD above {threshold:,} input tokens", justify="right")
    for index, unit in enumerate(UNITS):
        rates = [rates[index] for _, rates in price.tiers]
        if unit == "requests" and not any(rates):
            continue
        per = _per(unit)
        name = f"{unit.replace('_', ' ')} (per {'thousand' if per == 1000 else 'million'})"
        shown.add_row(name, *_dollars(rates, price.scale, per))
    return shown


def _per(unit: str) -> int:
    """How many of a unit prices are shown for."""
    return 1000 if unit in ("web_searches", "requests") else 1_000_000


def _usd(rate: int | None, scale: int, per: int) -> float | None:
    return None if rate is None else float(Fraction(rate * per, scale * 10**9))


def _dollars(rates: Iterable[int | None], scale: int, per: int) -> list[str]:
    return [
        "unknown" if dollars is None else f"{dollars:.12g}" for dollars in (_usd(rate, scale, per) for rate in rates)
    ]


def _caption(price: CompiledPrice) -> str:
    text = " ".join(word for word in (price.source, price.version) if word)
    if price.valid_until is not None:
        text += f", may change at {datetime.fromtimestamp(price.valid_until, UTC):%Y-%m-%d %H:%M} UTC"
    return text
