"""Prepare: from a request and a target to one call, ready for the wire."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache

from msgspec.structs import replace as replace_struct

from helicone_gw.access import ProviderCredential
from helicone_gw.dialects.base import WireFormat
from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.limits import longest_answer
from helicone_gw.dialects.translate.translation import translate
from helicone_gw.errors import AuthenticationFailed
from helicone_gw.exchange import Exchange
from helicone_gw.headers import Headers
from helicone_gw.model import Request, Target, UpstreamRequest
from helicone_gw.pipeline.attempts import Call
from helicone_gw.pipeline.decoding import acceptable
from helicone_gw.pipeline.services import LONG_DEADLINE
from helicone_gw.upstream.headers import CREDENTIALS, translated_request_headers, upstream_headers
from helicone_gw.upstream.operations import way
from helicone_gw.upstream.places import ITSELF, Place, Places, takes
from helicone_gw.upstream.provider import Provider
from helicone_gw.upstream.providers import Catalogue
from helicone_gw.upstream.signing import Signing
from helicone_gw.upstream.urls import with_query_key

_GOOGLES = frozenset({"x-goog-api-key", "google"})

__all__ = ["ITSELF", "Preparer", "speaks"]


class Preparer:
    """Prepares calls; remembers which providers refused to be asked for usage (at most one entry per target URL)."""

    def __init__(
        self, catalogue: Catalogue, allowed_targets: Collection[str], *, strict_translation: bool = False
    ) -> None:
        self._catalogue = catalogue
        self._strict_translation = strict_translation
        self._places = Places(catalogue, allowed_targets)
        self._without_usage: set[str] = set()
        self._signing = Signing()

    async def __call__(self, exchange: Exchange, target: Target) -> Call:
        """The call for ``target``. Raises `BadRequest` (address, dialect) or `AuthenticationFailed` (no credential)."""
        request = exchange.request
        if target.base_url is None:
            place = self._places.configured(request, target)
        else:
            place = await self._places.named(request, target, target.base_url)
        if not place.speaks:
            return await self._translated(exchange, target, place)
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
            address=place.address,
            length=exchange._upload_length if uploads else None,
            first_byte_timeout=LONG_DEADLINE if request.helicone.increase_timeout else None,
        )
        if place.provider.account is not None:
            call = await self._signed(place.provider, place.origin, call)
        return Call(call, added_usage)

    async def _translated(self, exchange: Exchange, target: Target, place: Place) -> Call:
        """The call of a provider that speaks another dialect than the client, or lacks the operation in its own."""
        request, provider, origin = exchange.request, place.provider, place.origin
        model = target.model or request.model or ""
        asks_usage = provider.include_usage and (target.base_url or target.provider) not in self._without_usage
        strict = request.helicone.translation_strict
        translation = translate(
            request,
            provider.dialect,
            Destination(provider.name, model, longest_answer(model), asks_usage, "chat" not in provider.lacks),
            strict=self._strict_translation if strict is None else strict,
        )
        outgoing = translation.outgoing
        url = place.url_of(outgoing.path, outgoing.query, model)
        headers, query_key = self._headers(exchange, target, provider, origin, False, translated=True)
        if query_key is not None:
            url = _with_key(url, query_key)
        headers = translated_request_headers(headers, translation, request.stream)
        call = UpstreamRequest(
            method=outgoing.method,
            url=url,
            headers=headers,
            body=outgoing.body,
            target=target,
            address=place.address,
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
        self,
        exchange: Exchange,
        target: Target,
        provider: Provider,
        origin: str,
        is_read: bool,
        *,
        translated: bool = False,
    ) -> tuple[Headers, str | None]:
        """The headers of a call to ``origin``, and the key for its query where the provider wants it there.

        ``is_read``: the gateway reads the answer, so that it may only come in a coding that the gateway knows.
        ``translated``: not to the API that the client's own key was meant for by its field.
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
        if own and translated and credential is not None:
            credential = _in_own_field(credential, provider)
        configured = None if own else self._configured(exchange, provider, origin, target.deployment)
        if not own and configured is None and (provider.key_required or provider.name in exchange.provider_keys):
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
        headers = _fields(request.headers, provider, accepted, credential if own else None, configured)
        key = credential.value if own and credential is not None and credential.header.startswith("?") else configured
        return headers, key if provider.auth == "query-key" else None

    def _configured(self, exchange: Exchange, provider: Provider, origin: str, deployment: str | None) -> str | None:
        """The gateway's own key for ``provider``: one that is kept for the caller in place of the configuration's."""
        kept = exchange.provider_keys.get(provider.name)
        if kept is None:
            return self._catalogue.credential(provider.name, origin, deployment)
        known = self._catalogue.get(provider.name)
        return kept.secret or None if known is not None and origin == known.origin else None


def speaks(provider: Provider, request: Request, target: Target | None = None) -> bool:
    """Whether ``provider`` takes ``request`` as it is (at ``target``, where it is known)."""
    return way(provider, request) == "native" if target is None else takes(provider, request, target)


def _fields(
    headers: Headers,
    provider: Provider,
    accepted: bytes | None,
    credential: ProviderCredential | None,
    configured_key: str | None,
) -> Headers:
    """`upstream_headers`, kept for the next request with the same head: it goes the same way as a rule."""
    last = headers.kept.get("upstream")
    if (
        last is not None
        and last[0] is provider
        and last[1] == accepted
        and last[2] is credential
        and last[3] == configured_key
    ):
        made: Headers = last[4]
        return made
    made = upstream_headers(
        headers, provider, accept_encoding=accepted, credential=credential, configured_key=configured_key
    )
    headers.kept["upstream"] = (provider, accepted, credential, configured_key, made)
    return made


@lru_cache(maxsize=256)
def _acceptable(accept_encoding: bytes | None) -> bytes:
    return acceptable(None if accept_encoding is None else accept_encoding.decode("latin-1")).encode("latin-1")


def _with_key(url: str, key: str) -> str:
    plain, _, query = url.partition("?")
    return f"{plain}?{with_query_key(query, key)}"


def _in_own_field(credential: ProviderCredential, provider: Provider) -> ProviderCredential:
    """A key of Google's that came as bearer, as its compatible APIs want it: its own APIs take tokens alone so."""
    scheme, _, key = credential.value.partition(" ")
    if provider.auth not in _GOOGLES or credential.header != "authorization" or scheme.lower() != "bearer":
        return credential
    key = key.strip()
    if not key or key.startswith("ya29."):
        return credential
    return replace_struct(credential, header="x-goog-api-key", value=key)


def _named_by_client(request: Request, target: Target) -> bool:
    """Whether ``target`` is the address that the client itself asked for, and no plugin's choice."""
    named = (request.helicone.openai_api_base, request.helicone.target_url)
    return target.base_url is not None and target.base_url in named
