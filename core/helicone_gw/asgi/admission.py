"""Admission: who calls, whether they may, and what they ask for. Everything here happens before the first hook."""

from __future__ import annotations

import re

from helicone_gw.access import GatewayKey, PageRequest
from helicone_gw.asgi.arrival import Arrival
from helicone_gw.asgi.body import RequestBody, decoded
from helicone_gw.asgi.mapping import mapped
from helicone_gw.dialects.base import WireFormat
from helicone_gw.dialects.openai_chat import ChatFormat
from helicone_gw.dialects.splice import members
from helicone_gw.errors import (
    AuthenticationFailed,
    BadRequest,
    MalformedBody,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
)
from helicone_gw.exchange import Exchange
from helicone_gw.gateway import Gateway
from helicone_gw.headers import Headers
from helicone_gw.helicone import lift_metadata, metadata_auth, parse_helicone_headers
from helicone_gw.ingress.credentials import Credentials, plain_bearer, resolve
from helicone_gw.ingress.location import Location
from helicone_gw.ingress.origin import guard_open_gateway
from helicone_gw.model import Request

BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods whose request bodies mean nothing (RFC 9110 9.3.1) and are not forwarded."""

MAX_UNKNOWN_BODY = 256 * 1024
"""Bytes of a body that are read, and inflated, in search of a gateway key when no header carries one."""

KEYLESS = frozenset({"/healthz", "/readyz"})
"""Paths that need no key even where keys are configured."""


async def admit(gateway: Gateway, exchange: Exchange, arrival: Arrival, body: RequestBody) -> None:
    """Put request, caller and credential on ``exchange``. Raises the `GatewayError` to answer, or `ClientGone`."""
    headers, location, wire = arrival.headers, arrival.location, arrival.wire
    if location.kind == "unknown":
        raise NotFound(location.reason or f"There is nothing at {location.path}.")
    required = gateway.keys.configured
    if not (required or arrival.guarded):
        cors = gateway.config.server.cors
        origins = () if cors is None else cors.origins
        guard_open_gateway(headers.get("host") or "", headers, gateway.config.server.domains, origins)
        arrival.guarded = True
    if body.announced is not None and b"transfer-encoding" in headers.first:
        raise BadRequest("A request with both Transfer-Encoding and Content-Length is not accepted.")
    whole: bytes | None = None
    try:
        credentials = await resolve(
            location, headers, location.query, gateway.keys, required=required, bearer=arrival.bearer
        )
    except BadRequest as refused:
        if refused.code == "key_in_path":
            # It is nobody's path, and is stored where the refusal is.
            exchange.request = exchange.original = exchange.request.replace(path="/")
        raise
    except AuthenticationFailed as refused:
        # The key may be in the body's metadata, where litellm puts Helicone-Auth. Nobody is known yet: little is read.
        if wire is None or not arrival.is_json:
            raise
        try:
            whole = decoded(await body.read(MAX_UNKNOWN_BODY), headers, MAX_UNKNOWN_BODY)
            auth = metadata_auth(lift_metadata(wire.envelope(whole).metadata)[0])
        except (BadRequest, PayloadTooLarge):
            raise refused from None
        if auth is None:
            raise
        credentials = await resolve(location, headers, location.query, gateway.keys, auth)
    _identify(exchange, credentials, location)
    check_entry(exchange.key, headers, exchange.client)
    if exchange.key is not None and exchange.key.scope == "read":
        raise PermissionDenied(
            f"Key {exchange.key.name!r} reads the gateway's own pages and calls no provider.", code="scope_required"
        )
    if wire is not None and arrival.is_json:
        if whole is None:
            limit = int(gateway.config.server.max_body)
            whole = decoded(await body.read(limit), headers, limit)
        if exchange.permits is not None and exchange.permits.models is not None:
            _one_model(whole)
        exchange.request = _json_request(exchange.request, wire, arrival, credentials, whole)
        if exchange.request.helicone.gateway_body_mapping is not None:
            exchange.request = mapped(exchange.request, lambda request: _dialect_of(gateway, exchange))
            _check_path(exchange.key, exchange.request.path)
    elif body.present and body.announced != 0 and exchange.request.method not in BODILESS:
        exchange.request = _plain_request(exchange.request, location, credentials)
        exchange._upload = body.stream(exchange, int(gateway.config.server.max_upload))
        exchange._upload_length = body.announced
        exchange.request = exchange.request.replace(body=None)
    else:
        body.finished = body.announced == 0
        await body.discard()
        exchange.request = _plain_request(exchange.request, location, credentials)
    exchange.original = exchange.request
    exchange.request_id = exchange.request.helicone.request_id or exchange.id
    if location.needs_target_url and not _names_a_target(exchange.request):
        raise BadRequest(
            "This address needs a Helicone-Target-URL header that says where the request goes.",
            code="missing_target_url",
        )


async def admit_local(gateway: Gateway, page: PageRequest, location: Location) -> GatewayKey | None:
    """Who asks for one of the gateway's own pages: the same rules as for the gateway's paths, and sessions beside keys.

    A key that came with the request goes before the session of the browser that sent it. ``None`` is everybody, on a
    gateway that is open. Raises the `GatewayError` to answer.
    """
    headers = page.headers
    if location.path in KEYLESS:
        return None
    if not gateway.keys.configured:
        guard_open_gateway(headers.get("host") or "", headers, gateway.config.server.domains)
        return None
    try:
        bearer = plain_bearer(location, headers)
        key = (await resolve(location, headers, location.query, gateway.keys, bearer=bearer)).key
    except AuthenticationFailed:
        key = await gateway.keys.session(page)
        if key is None:
            raise
    _check_path(key, location.path)
    check_entry(key, headers, page.client)
    if key is not None and key.scope == "write" and not is_telling(page.method, page.path):
        raise PermissionDenied(f"Key {key.name!r} calls providers and reads nothing.", code="scope_required")
    return key


def _identify(exchange: Exchange, credentials: Credentials, location: Location) -> None:
    exchange.credential = credentials.credential
    exchange.secrets = credentials.secrets
    key = exchange.key = credentials.key
    if key is not None:
        exchange.organization = key.organization
        exchange.permits = key.permits
        _check_path(key, location.path)


def _dialect_of(gateway: Gateway, exchange: Exchange) -> str | None:
    """The dialect of the provider that the request's model leads to first. Raises `BadRequest` for no model string."""
    targets = gateway.routing.targets(exchange.request.model or "", exchange)
    provider = gateway.catalogue.at(targets[0]) if targets else None
    return None if provider is None else provider.dialect


def _one_model(body: bytes) -> None:
    """Refuse a body that says ``model`` twice, in any case: JSON parsers differ in which of them they take."""
    if sum(member.name.casefold() == "model" for member in members(body)) > 1:
        raise MalformedBody("The request body has more than one member 'model'.")


def _check_path(key: GatewayKey | None, path: str) -> None:
    if key is not None and not key.permits.allows_path(path):
        raise PermissionDenied(f"Key {key.name!r} may not use path {path!r}.", code="path_not_permitted")


def check_entry(key: GatewayKey | None, headers: Headers, client: str) -> None:
    """Raise `PermissionDenied` where ``key`` may not come from that address, or from that web page."""
    if key is None:
        return
    if key.permits.networks is not None and not key.permits.allows_address(client):
        raise PermissionDenied(f"Key {key.name!r} may not be used from this address.", code="address_not_permitted")
    if key.permits.origins is not None:
        origins = headers.get_all("origin")
        if len(origins) > 1 or not key.permits.allows_origin(origins[0] if origins else None):
            raise PermissionDenied(f"Key {key.name!r} may not be used from this page.", code="origin_not_permitted")


def is_telling(method: str, path: str) -> bool:
    """Whether a request only tells of calls and of what people made of them; it reads nothing."""
    return method in ("POST", "PUT") and _TELLING.fullmatch(path.removesuffix("/")) is not None


_TELLING = re.compile(
    r"/(oai|anthropic|googleapis|custom)/v1/log|/v1/log/request|/v1/trace/\S+|/v1/request/[^/]+/(feedback|score|property)"
    r"|/(v1/)?feedback|/v1/session/[^/]+/(feedback|tag)|/v1/webhook/request/[^/]+/score"
)


def _json_request(
    request: Request, wire: WireFormat, arrival: Arrival, credentials: Credentials, body: bytes
) -> Request:
    envelope = wire.envelope(body)
    helicone, location = request.helicone, arrival.location
    if envelope.metadata:
        _, names = lift_metadata(envelope.metadata)
        if names:
            body = wire.without_metadata(body, names)
            helicone = parse_helicone_headers(arrival.headers, envelope.metadata, arrival.head)
    if envelope.prompt is not None and isinstance(wire, ChatFormat):
        body = wire.with_prompt_as_message(body, envelope.prompt)
    return request.replace(
        query=credentials.query,
        headers=credentials.headers.without("content-encoding"),
        body=body,
        model=location.model if location.model is not None else envelope.model,
        stream=location.stream if location.stream is not None else envelope.stream,
        user=helicone.user_id or envelope.user,
        helicone=helicone,
    )


def _plain_request(request: Request, location: Location, credentials: Credentials) -> Request:
    return request.replace(
        query=credentials.query,
        headers=credentials.headers,
        stream=bool(location.stream),
        user=request.helicone.user_id,
    )


def _names_a_target(request: Request) -> bool:
    helicone = request.helicone
    return bool(helicone.target_url or helicone.openai_api_base or helicone.fallbacks_raw)
