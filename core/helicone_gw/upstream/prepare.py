"""Prepare: from a request and a target to one call, ready for the wire."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_plus

from msgspec.structs import replace as replace_struct

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.base import WireFormat
from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.limits import longest_answer
from helicone_gw.dialects.translate.translation import LACKING, translate
from helicone_gw.errors import AuthenticationFailed, BadRequest
from helicone_gw.exchange import Exchange
from helicone_gw.headers import Headers
from helicone_gw.model import Request, Target, UpstreamRequest
from helicone_gw.pipeline.attempts import Call
from helicone_gw.pipeline.decoding import acceptable
from helicone_gw.pipeline.services import LONG_DEADLINE
from helicone_gw.upstream.addresses import check_target
from helicone_gw.upstream.headers import CREDENTIALS, translated_request_headers, upstream_headers
from helicone_gw.upstream.provider import Provider
from helicone_gw.upstream.providers import Catalogue
from helicone_gw.upstream.signing import Signing
from helicone_gw.upstream.urls import azure_path, parse_url, target_url, upstream_url, with_query_key

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

_MODEL_IN_PATH = re.compile(r"(/models/)([^/:]+(?:/[^/:]+)*)(?=:|$)")


class _Place(NamedTuple):
    """Where a call goes: a provider, the URL there and its origin, and how its answer is read (``None``: not at all).

    ``speaks``: the provider understands the request as it is; otherwise there is no URL yet.
    """

    provider: Provider
    url: str
    origin: str
    wire: WireFormat | None
    speaks: bool = True


class Preparer:
    """Prepares calls; remembers which providers refused to be asked for usage (at most one entry per target URL)."""

    def __init__(
        self, catalogue: Catalogue, allowed_targets: Collection[str], *, strict_translation: bool = False
    ) -> None:
        self._catalogue = catalogue
        self._strict_translation = strict_translation
        self._allowed_targets = allowed_targets
        self._without_usage: set[str] = set()
        self._remembered: dict[tuple[object, ...], _Place] = {}
        self._signing = Signing()

    async def __call__(self, exchange: Exchange, target: Target) -> Call:
        """The call for ``target``. Raises `BadRequest` (address, dialect) or `AuthenticationFailed` (no credential)."""
        request = exchange.request
        address = None
        if target.base_url is None:
            place = self._configured_place(request, target)
            if not place.speaks:
                return await self._translated(exchange, target, place.provider, place.provider.base_url or "")
        else:
            checked = await check_target(
                target.base_url, catalogue=self._catalogue, allowed_targets=self._allowed_targets
            )
            address = checked.address
            provider = checked.provider or _stranger(target, request)
            place = _Place(
                provider,
                target_url(provider, checked.url, request.path, _with_model_in_query(request, target)),
                parse_url(checked.url).origin,
                wire_format(request.dialect, request.operation),
            )
        url, wire = place.url, place.wire
        body, added_usage = self._body(exchange, target, place.provider, wire)
        headers, query_key = self._headers(exchange, target, place.provider, place.origin, wire is not None)
        if query_key is not None:
            url = _with_key(url, query_key)
        uploads = request.body is None
        call = UpstreamRequest(
            method=request.method,
            url=url,
            headers=headers,
            body=exchange._upload if uploads else body,
            target=target,
            address=address,
            length=exchange._upload_length if uploads else None,
            first_byte_timeout=LONG_DEADLINE if request.helicone.increase_timeout else None,
        )
        if place.provider.account is not None:
            call = await self._signed(place.provider, place.origin, call)
        return Call(call, added_usage)

    def _configured_place(self, request: Request, target: Target) -> _Place:
        """Where ``request`` goes at a provider of the catalogue; remembered for ordinary paths without a query.

        Raises `BadRequest` for a provider without an address.
        """
        if request.query or len(request.path) > LONGEST_REMEMBERED or len(request.model or "") > LONGEST_REMEMBERED:
            return self._find_place(request, target)
        key = (target, request.provider, request.dialect, request.operation, request.path, request.model)
        place = self._remembered.get(key)
        if place is None:
            place = self._find_place(request, target)
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = place
        return place

    def _find_place(self, request: Request, target: Target) -> _Place:
        provider = ITSELF if target.provider == ITSELF.name else self._catalogue.at(target)
        if provider is None or provider.base_url is None:
            raise BadRequest(
                f"Provider {target.provider!r} has no address; set providers.{target.provider}.base_url.",
                code="provider_not_configured",
            )
        wire = wire_format(request.dialect, request.operation)
        if not speaks(provider, request):
            return _Place(provider, "", "", wire, speaks=False)
        path = _with_model_in_path(request, target)
        if provider.api_version is not None:
            path = azure_path(provider, path, target.model or request.model)
        if provider is ITSELF:
            url = f"{provider.base_url}/{request.dialect}{path}"
        else:
            url = upstream_url(provider, provider.base_url, path, _with_model_in_query(request, target))
        return _Place(provider, url, provider.origin or "", wire)

    async def _translated(self, exchange: Exchange, target: Target, provider: Provider, base_url: str) -> Call:
        """The call of a provider that speaks another dialect than the client, or lacks the operation in its own."""
        request = exchange.request
        model = target.model or request.model or ""
        asks_usage = provider.include_usage and target.provider not in self._without_usage
        strict = request.helicone.translation_strict
        translation = translate(
            request,
            provider.dialect,
            Destination(provider.name, model, longest_answer(model), asks_usage),
            strict=self._strict_translation if strict is None else strict,
        )
        outgoing = translation.outgoing
        path = outgoing.path
        if provider.api_version is not None:
            path = azure_path(provider, path, model)
        url = upstream_url(provider, base_url, path, outgoing.query)
        origin = provider.origin or ""
        headers, query_key = self._headers(exchange, target, provider, origin, False)
        if query_key is not None:
            url = _with_key(url, query_key)
        headers = translated_request_headers(headers, translation, request.stream)
        call = UpstreamRequest(
            method=outgoing.method,
            url=url,
            headers=headers,
            body=outgoing.body,
            target=target,
            first_byte_timeout=LONG_DEADLINE if request.helicone.increase_timeout else None,
        )
        added_usage = asks_usage and request.stream and translation.dialect == "openai"
        return Call(await self._signed(provider, origin, call), added_usage, translation)

    async def _signed(self, provider: Provider, origin: str, call: UpstreamRequest) -> UpstreamRequest:
        """``call`` with the credentials of the provider's account, where it has one and nobody sent others."""
        if provider.account is not None and origin == provider.origin and CREDENTIALS.isdisjoint(call.headers.first):
            return await self._signing(provider.account, call)
        return call

    def usage_refused(self, target: Target) -> None:
        """The provider does not know ``stream_options``: it is not asked for usage any more."""
        self._without_usage.add(target.base_url or target.provider)

    def _body(
        self, exchange: Exchange, target: Target, provider: Provider, wire: WireFormat | None
    ) -> tuple[bytes | None, bool]:
        request = exchange.request
        body = request.body
        if not body or wire is None:
            return body, False
        # The body says what the client asked for, also where a plugin has the request ask for another model.
        as_asked = target.model == request.model == exchange.original.model
        if target.model is not None and not as_asked and request.dialect != "gemini":
            body = wire.with_model(body, target.model)
        asking = self._asking(request, target, provider, wire, body)
        return (body, False) if asking is None else (asking, True)

    def _asking(
        self, request: Request, target: Target, provider: Provider, wire: WireFormat, body: bytes
    ) -> bytes | None:
        if not request.stream or (target.base_url or target.provider) in self._without_usage:
            return None
        if not provider.include_usage:
            return None
        return wire.asking_for_usage(body)

    def _headers(
        self, exchange: Exchange, target: Target, provider: Provider, origin: str, is_read: bool
    ) -> tuple[Headers, str | None]:
        """The headers of a call to ``origin``, and the key for its query where the provider wants it there.

        ``is_read``: the gateway reads the answer, so that it may only come in a coding that the gateway knows.
        """
        request = exchange.request
        credential = exchange.credential
        # A client's own key goes to the provider that the request's address implies, or to the target that the client
        # named itself, and nowhere else; a configured key goes to its own provider's origin.
        if credential is not None and _named_by_client(request, target):
            credential = replace_struct(credential, provider=provider.name)
        elif self._catalogue.at(target) is not provider and self._catalogue.get(provider.name) is not provider:
            credential = None  # a plugin's choice of address, whatever name it gives it
        own = credential is not None and credential.provider == provider.name
        configured = None if own else self._catalogue.credential(provider.name, origin, target.deployment)
        if not own and configured is None and provider.key_required:
            raise AuthenticationFailed(
                f"There is no credential for provider {provider.name!r}: send your own with the request, or "
                f"{provider.hint}.",
                code="provider_key_not_found",
            )
        if provider.headers and origin != provider.origin:
            provider = replace(provider, headers={})  # they may be secrets, as its key is
        accepted: bytes | None = None
        if is_read:
            accepted = b"identity" if request.stream else _acceptable(request.headers.first.get(b"accept-encoding"))
        headers = upstream_headers(
            request.headers,
            provider,
            accept_encoding=accepted,
            credential=credential if own else None,
            configured_key=configured,
        )
        key = credential.value if own and credential is not None and credential.header.startswith("?") else configured
        return headers, key if provider.auth == "query-key" else None


def speaks(provider: Provider, request: Request) -> bool:
    """Whether ``provider`` understands ``request`` as it is: same dialect, or the client addressed it by name."""
    if request.provider == provider.name:
        return True
    return request.dialect in provider.dialects and (provider.name, request.operation) not in LACKING


@lru_cache(maxsize=256)
def _acceptable(accept_encoding: bytes | None) -> bytes:
    return acceptable(None if accept_encoding is None else accept_encoding.decode("latin-1")).encode("latin-1")


def _with_key(url: str, key: str) -> str:
    plain, _, query = url.partition("?")
    return f"{plain}?{with_query_key(query, key)}"


def _stranger(target: Target, request: Request) -> Provider:
    """An allowed target that belongs to no provider we know: it gets the client's own credential, or none."""
    return Provider(target.provider, target.provider, request.dialect, None, "bearer", key_required=False)


def _named_by_client(request: Request, target: Target) -> bool:
    """Whether ``target`` is the address that the client itself asked for, and no plugin's choice."""
    named = (request.helicone.openai_api_base, request.helicone.target_url)
    return target.base_url is not None and target.base_url in named


def _with_model_in_query(request: Request, target: Target) -> str:
    """The query, its ``model`` (of a realtime session) the target's."""
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
    if model is None or request.dialect != "gemini":
        return request.path
    found = _MODEL_IN_PATH.search(request.path)
    if found is None or unquote(found[2]) == model:
        return request.path
    return f"{request.path[: found.start(2)]}{quote(model, safe='/')}{request.path[found.end(2) :]}"
