"""Listing: the models that a gateway reaches, in each dialect's shape and in that of Helicone's registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from helicone_gw import Usage
from helicone_gw_router.families import MODALITIES

if TYPE_CHECKING:
    from helicone_gw import Gateway
    from helicone_gw_router.registry import Model, Offer

US_DOLLARS = 1_000_000_000

VECTORS = frozenset({"embeddings"})
"""The operations of a model that makes vectors, and nothing else."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a list: a model's ``id``, who makes or serves it, who offers it, its context length in tokens.

    ``capabilities`` and ``operations`` are of `registry.Model`; only OpenAI's shape has room for them.
    """

    id: str
    owner: str
    providers: Sequence[str] = ()
    context: int | None = None
    name: str = ""
    capabilities: Mapping[str, bool] = field(default_factory=dict)
    operations: Sequence[str] = ()
    max_output: int | None = None


def one(model: Listed, dialect: str, created: int) -> dict[str, Any]:
    """One model in a dialect's shape; ``created`` (epoch seconds) is what a gateway knows of it: its own start."""
    if dialect == "anthropic":
        at = datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z")
        return {"type": "model", "id": model.id, "display_name": model.name or model.id, "created_at": at}
    if dialect == "gemini":
        shape: dict[str, Any] = {
            "name": f"models/{model.id}",
            "displayName": model.name or model.id,
            "supportedGenerationMethods": ["embedContent"] if {*model.operations} == VECTORS else ["generateContent"],
        }
        limits = {"inputTokenLimit": model.context, "outputTokenLimit": model.max_output}
        return {**shape, **{name: tokens for name, tokens in limits.items() if tokens is not None}}
    shape = {"id": model.id, "object": "model", "created": created, "owned_by": model.owner}
    if model.context is not None:
        shape["context_length"] = model.context
    if model.max_output is not None:
        shape["max_output"] = model.max_output
    if model.capabilities:
        shape["capabilities"] = dict(model.capabilities)
    if model.operations:
        shape["operations"] = list(model.operations)
    return {**shape, "providers": list(model.providers)}


def many(models: Iterable[Listed], dialect: str, created: int) -> dict[str, Any]:
    """A list of models in a dialect's shape."""
    found = [one(model, dialect, created) for model in models]
    if dialect == "gemini":
        return {"models": found}
    if dialect == "anthropic":
        ids = [model["id"] for model in found]
        first, last = (ids[0], ids[-1]) if ids else (None, None)
        return {"data": found, "has_more": False, "first_id": first, "last_id": last}
    return {"object": "list", "data": found}


def registry(gateway: Gateway, models: Iterable[Model], usable: Callable[[str], bool]) -> dict[str, Any]:
    """Every model with its offers and prices, as ``GET /v1/public/model-registry/models`` of Helicone's has it."""
    listed = [_registered(gateway, model, usable) for model in models]
    providers = sorted({endpoint["provider"] for model in listed for endpoint in model["endpoints"]})
    authors = sorted({model["author"] for model in listed if model["author"]})
    return {
        "models": listed,
        "total": len(listed),
        "filters": {
            "providers": [{"name": name, "displayName": _title(gateway, name)} for name in providers],
            "authors": authors,
            "capabilities": ["audio", "image", "thinking", "caching", "reasoning"],
        },
    }


def _registered(gateway: Gateway, model: Model, usable: Callable[[str], bool]) -> dict[str, Any]:
    facts, able = model.facts, model.capabilities
    parameters = ["max_tokens", "temperature", "top_p", "stop"]
    parameters += ["tools", "tool_choice"] if able.get("tools") else []
    parameters += ["response_format"] if able.get("structured_output") else []
    parameters += ["reasoning"] if able.get("reasoning") else []
    vectors = facts.get("embeddings") or {*model.operations} == VECTORS
    return {
        "id": model.id,
        "name": model.name or model.id,
        "author": model.author,
        "contextLength": model.context or 0,
        "endpoints": [_endpoint(gateway, offer, usable) for offer in model.offers],
        "maxOutput": model.max_output or facts.get("max_output"),
        "trainingDate": None,
        "description": model.description or None,
        "inputModalities": ["text", *(word for name, word in MODALITIES.items() if able.get(name))],
        "outputModalities": facts.get("output") or (["embeddings"] if vectors else ["text"]),
        "supportedParameters": parameters,
    }


def _endpoint(gateway: Gateway, offer: Offer, usable: Callable[[str], bool]) -> dict[str, Any]:
    return {
        "provider": offer.provider,
        "providerSlug": offer.provider,
        "endpoint": offer.id,
        "supportsPtb": usable(offer.provider),
        "pricing": _pricing(gateway, offer),
    }


def _pricing(gateway: Gateway, offer: Offer) -> dict[str, float]:
    """US dollars per million tokens, of what has a price."""
    price = gateway.prices.find(offer.provider, offer.id)
    if price is None:
        return {}
    million = 1_000_000
    kinds = {
        "prompt": Usage(input_tokens=million, output_tokens=0),
        "completion": Usage(input_tokens=0, output_tokens=million),
        "cacheRead": Usage(input_tokens=million, output_tokens=0, cache_read_tokens=million),
        "cacheWrite": Usage(input_tokens=million, output_tokens=0, cache_write_tokens=million),
    }
    costs = {name: price.cost(usage) for name, usage in kinds.items()}
    return {name: cost.nano_usd / US_DOLLARS for name, cost in costs.items() if cost is not None}


def _title(gateway: Gateway, provider: str) -> str:
    known = gateway.catalogue.get(provider)
    return provider if known is None else known.title
