"""Places: where a call goes, and whether it goes there as it came."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_plus

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.base import WireFormat
from helicone_gw.errors import BadRequest
from helicone_gw.ingress.fallbacks import FallbackTarget
from helicone_gw.ingress.operations import OPENAI_BASE_PATHS
from helicone_gw.model import Request, Target
from helicone_gw.pipeline.arrays import asking_for_events
from helicone_gw.upstream.addresses import check_target
from helicone_gw.upstream.operations import refusal, way
from helicone_gw.upstream.provider import Provider
from helicone_gw.upstream.providers import Catalogue
from helicone_gw.upstream.urls import azure_path, parse_url, target_url, upstream_url

ITSELF = Provider(
    "helicone-gw",
    "This gateway",
    "openai",
    "http://helicone-gw.invalid",
    "none",
    dialects=("openai", "anthropic", "gemini"),
    key_required=False,
    in_process=True,
)
"""The gateway as a provider of what it knows itself (its list of models)."""

MAX_REMEMBERED = 1024
"""Places that are remembered, of paths without a query; when there are more, all are forgotten and it begins anew."""

LONGEST_REMEMBERED = 256
"""Characters of such a path, or model; longer ones hold ids and seldom come again."""

_MODEL_IN_PATH = {
    "gemini": re.compile(r"(/models/)([^/:]+(?:/[^/:]+)*)(?=:|$)"),
    "openai": re.compile(r"(/engines/)([^/]+)(?=/)"),
}


class Place(NamedTuple):
    """Where a call goes: a provider, the URL there and its origin, and how its answer is read (``None``: not at all).

    ``speaks``: the provider takes the request as it is; otherwise it has to be translated, and `url_of` says where it
    goes then. ``address`` is the IP address of a target that the client named, which was checked.
    """

    provider: Provider
    url: str
    origin: str
    wire: WireFormat | None
    speaks: bool = True
    address: str | None = None

    def url_of(self, path: str, query: str, model: str) -> str:
        """Where a translated request goes whose dialect has it at ``path``. ``model`` is the name there."""
        provider = self.provider
        if provider.api_version is not None:
            path = azure_path(provider, path, model)
        if self.address is not None:
            return target_url(provider, self.url, path, query)
        return upstream_url(provider, provider.base_url or "", path, query)


class Places:
    """Finds them. ``allowed_targets`` are further hosts that clients may name."""

    def __init__(self, catalogue: Catalogue, allowed_targets: Collection[str]) -> None:
        self._catalogue = catalogue
        self._allowed_targets = allowed_targets
        self._remembered: dict[tuple[object, ...], Place] = {}

    def configured(self, request: Request, target: Target) -> Place:
        """Where ``request`` goes at a provider of the catalogue; remembered for ordinary paths without a query.

        Raises `BadRequest` for a provider that has no address, or does not offer the operation.
        """
        if request.query or len(request.path) > LONGEST_REMEMBERED or len(request.model or "") > LONGEST_REMEMBERED:
            return self._find(request, target)
        key = (target, request.provider, request.dialect, request.operation, request.path, request.model)
        place = self._remembered.get(key)
        if place is None:
            place = self._find(request, target)
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = place
        return place

    def _find(self, request: Request, target: Target) -> Place:
        provider = ITSELF if target.provider == ITSELF.name else self._catalogue.at(target)
        if provider is None or provider.base_url is None:
            raise BadRequest(
                f"Provider {target.provider!r} has no address; set providers.{target.provider}.base_url.",
                code="provider_not_configured",
            )
        wire = wire_format(request.dialect, request.operation)
        origin = provider.origin or ""
        found = way(provider, request, target.model)
        if found is None:
            raise refusal(provider, request, self._catalogue.all())
        if found == "translated":
            return Place(provider, "", origin, wire, speaks=False)
        path = _with_model_in_path(request, target)
        if provider.api_version is not None:
            path = azure_path(provider, path, target.model or request.model)
        if provider is ITSELF:
            url = f"{provider.base_url}/{request.dialect}{path}"
        else:
            url = upstream_url(provider, provider.base_url, path, _query(request, target))
        return Place(provider, url, origin, wire)

    async def named(self, request: Request, target: Target, base_url: str) -> Place:
        """Where ``request`` goes at the URL that the client, or a plugin, named. Raises `BadRequest`."""
        checked = await check_target(base_url, catalogue=self._catalogue, allowed_targets=self._allowed_targets)
        provider = checked.provider or _stranger(target, request)
        origin = parse_url(checked.url).origin
        wire = wire_format(request.dialect, request.operation)
        if not takes(provider, request, target):
            return Place(provider, checked.url, origin, wire, speaks=False, address=checked.address)
        path = _with_model_in_path(request, target) if is_entry(request, target) else request.path
        url = target_url(provider, checked.url, path, _query(request, target))
        return Place(provider, url, origin, wire, address=checked.address)


def takes(provider: Provider, request: Request, target: Target) -> bool:
    """Whether ``provider`` takes ``request`` as it is at ``target``.

    A client that names its target by URL sends what is meant for it. But the entries of ``Helicone-Fallbacks`` share
    one request, so that the provider of an approved domain gets it in its own dialect, unless the path is one of a
    compatibility layer already.
    """
    if target.base_url is None:
        return way(provider, request, target.model) == "native"
    if not is_entry(request, target) or request.dialect in provider.dialects:
        return True
    if any(request.path.startswith(f"{base}/") for base in OPENAI_BASE_PATHS):
        return True
    return way(provider, request.replace(provider=None), target.model) != "translated"


def is_entry(request: Request, target: Target) -> bool:
    """Whether ``target`` is an entry of ``Helicone-Fallbacks`` in Helicone's form."""
    url = target.base_url
    return url is not None and any(
        isinstance(each, FallbackTarget) and each.target_url == url for each in request.helicone.fallbacks or ()
    )


def _query(request: Request, target: Target) -> str:
    """The query, its ``model`` (of a realtime session) the target's. Streams of Gemini's are asked for as events."""
    if request.operation == "stream_generate_content":
        return asking_for_events(request.query)
    if target.model is None or target.model == request.model or wire_format(request.dialect, request.operation):
        return request.query
    parts = request.query.split("&")
    for index, part in enumerate(parts):
        name, _, value = part.partition("=")
        if name == "model" and unquote_plus(value) == request.model:
            parts[index] = f"model={quote(target.model, safe='')}"
    return "&".join(parts)


def _with_model_in_path(request: Request, target: Target) -> str:
    model = target.model
    pattern = _MODEL_IN_PATH.get(request.dialect)
    if model is None or pattern is None:
        return request.path
    found = pattern.search(request.path)
    if found is None or unquote(found[2]) == model:
        return request.path
    return f"{request.path[: found.start(2)]}{quote(model, safe='/')}{request.path[found.end(2) :]}"


def _stranger(target: Target, request: Request) -> Provider:
    """An allowed target that belongs to no provider we know: it gets the client's own credential, or none."""
    return Provider(target.provider, target.provider, request.dialect, None, "bearer", key_required=False)
