"""Loading: the registry out of genai-prices' data and the gateway's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from helicone_gw_router.registry import Recognises, Registry
from helicone_gw_router.tables import table

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

    from helicone_gw import Gateway


def load(gateway: Gateway) -> Registry:
    """Every model of every provider in the catalogue. Takes half a second and 40 MB where nobody read the data yet."""
    from genai_prices.data_snapshot import get_snapshot

    return build(
        {provider.id: provider for provider in get_snapshot().providers},
        gateway.catalogue.names(),
        gateway.config.models,
    )


def build(data: Mapping[str, Provider], providers: tuple[str, ...], models: Mapping[str, Any]) -> Registry:
    """The registry of ``providers`` (our names) out of genai-prices' ``data``, with the configuration's ``models``."""
    homes = {name: _recognises(data[_rows(name)["ids"][0]]) for name in providers if _is_home(name, data)}
    registry = Registry(table("aliases"), homes)
    for provider in providers:
        row = _rows(provider)
        seen: set[str] = set()
        for source in row["ids"]:
            for model in data[source].models if source in data else ():
                if model.id not in seen and _fits(model, row.get("vendor")):
                    seen.add(model.id)
                    registry.add(
                        provider,
                        row.get("prefix", "") + _callable(model.id),
                        name=model.name,
                        context=model.context_window,
                        deprecated=model.deprecated,
                        description=model.description,
                    )
    registry.settle()
    for name, entry in models.items():
        said = {} if entry.capabilities is None else entry.capabilities.model_dump(exclude_none=True)
        registry.configure(
            name,
            upstream=entry.model,
            providers=entry.providers,
            aliases=entry.aliases,
            context=entry.context,
            max_output=entry.max_output,
            operations=entry.operations,
            said=said,
        )
    return registry


def _rows(provider: str) -> dict[str, Any]:
    row: dict[str, Any] = table("providers").get(provider, {"ids": [provider]})
    return row


def _is_home(provider: str, data: Mapping[str, Provider]) -> bool:
    return bool(_rows(provider).get("home")) and _rows(provider)["ids"][0] in data


def _recognises(provider: Provider) -> Recognises:
    def recognises(name: str) -> bool:
        return any(model.is_match(name) for model in provider.models)

    return recognises


def _fits(model: ModelInfo, vendors: list[str] | None) -> bool:
    # Fine-tunes and free tiers are prices of their own, not models that could be asked for.
    if model.id.startswith("ft:") or model.id.endswith(".ft-"):
        return False
    return vendors is None or any(model.id.startswith(vendor) for vendor in vendors)


def _callable(id: str) -> str:
    """The id as it is called: genai-prices writes Bedrock's inference profiles of any region as ``regional.``."""
    return f"us.{id[9:]}" if id.startswith("regional.") else id
