"""Credentials: whose request it is (the gateway key) and which provider key the client brought along, if any."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from msgspec import Struct

from helicone_gw.access import GatewayKey, KeyRing, ProviderCredential
from helicone_gw.errors import AuthenticationFailed, BadRequest
from helicone_gw.headers import Headers
from helicone_gw.ingress.forwarding import CREDENTIAL_FIELDS, WEBSOCKET_KEY, forwardable, holds_secret, without_keys
from helicone_gw.ingress.location import Location
from helicone_gw.ingress.paths import looks_like_key

MAX_CANDIDATES = 12
"""How many possible keys of one request are looked up; a request with more is refused."""

_KEY_FIELDS = frozenset(name.encode() for name in (*CREDENTIAL_FIELDS, "helicone-auth", "sec-websocket-protocol"))
_OTHER_KEY_FIELDS = frozenset(_KEY_FIELDS - {b"authorization"})
_IN_ORDER = tuple((name, name.encode()) for name in CREDENTIAL_FIELDS)
_BEARER = re.compile(r"bearer\s+", re.IGNORECASE)
_NEXT_BEARER = re.compile(r"\s*,\s*bearer\s+", re.IGNORECASE)
_ACCEPTED = (
    "Helicone-Auth: Bearer <key>, Authorization: Bearer <key>, x-api-key, api-key, x-goog-api-key "
    "or the query parameter key"
)


class Credentials(Struct, frozen=True):
    """What `resolve` found: ``key`` (``None`` on an open gateway), the client's own provider ``credential`` if it may
    be used, and the ``headers`` and ``query`` that may go on, with neither of the two in them. ``secrets`` are all
    gateway keys of the request, for whoever stores what was sent."""

    key: GatewayKey | None
    credential: ProviderCredential | None
    headers: Headers
    query: str
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Credentials({self.key!r}, {self.headers!r})"


class _Candidate(Struct):
    """A value that may be a gateway key; ``header`` and ``value`` are what it would be as a provider's credential."""

    place: str
    secret: str
    header: str = ""
    value: str = ""
    ours: bool = False

    def __repr__(self) -> str:
        return f"_Candidate({self.place})"


class PlainBearer:
    """One bearer token and nothing else that could be a key, as nearly every request has it. See `plain_bearer`."""

    __slots__ = ("_headers", "_location", "_of_client", "_passing", "_token", "_value")

    def __init__(self, token: str, value: str, location: Location, headers: Headers) -> None:
        self._token = token
        self._value = value
        self._location = location
        self._headers = headers
        self._of_client: Credentials | None = None
        self._passing: Headers | None = None

    async def credentials(self, key_ring: KeyRing, *, required: bool) -> Credentials | None:
        """What `resolve` makes of it; ``None`` where it is not as plain as it looked."""
        token = self._token
        if not required:
            if self._of_client is None and not looks_like_key(token):
                credential = ProviderCredential("authorization", self._value, self._location.implied_provider)
                self._of_client = Credentials(None, credential, forwardable(self._headers, ()), "")
            return self._of_client
        key = await key_ring.lookup(token)
        if key is None or (len(token) >= 8 and token in unquote(self._location.client_path)):
            return None
        if self._passing is None:
            self._passing = forwardable(self._headers, (token,))
        return Credentials(key, None, self._passing, "", (token,))

    def __repr__(self) -> str:
        return f"PlainBearer({self._headers!r})"


def plain_bearer(location: Location, headers: Headers) -> PlainBearer | None:
    """The credential of a request if ``Authorization`` is all that can hold a key, and is one bearer token."""
    first = headers.first
    raw = first.get(b"authorization")
    if raw is None or raw[:7] != b"Bearer " or b"," in raw or not raw.isascii() or raw != raw.strip():
        return None
    if location.query or location.path_key or len(first) != len(headers.raw) or not _OTHER_KEY_FIELDS.isdisjoint(first):
        return None
    value = raw.decode("ascii")
    token = value[7:].lstrip()
    return PlainBearer(token, value, location, headers) if token else None


async def resolve(
    location: Location,
    headers: Headers,
    query: str,
    key_ring: KeyRing,
    metadata_auth: str | None = None,
    *,
    required: bool | None = None,
    bearer: PlainBearer | None = None,
) -> Credentials:
    """Tell gateway key and provider credential apart, and take both out of what is forwarded.

    The gateway key is the first valid one of ``Helicone-Auth`` (``metadata_auth`` stands in for it), a path segment,
    ``Authorization``, ``x-api-key``, ``api-key``, ``x-goog-api-key``, ``?key=``, a WebSocket subprotocol. A credential
    of the client's counts only beside a key in ``Helicone-Auth`` or the path, in one ``Authorization`` with it, or when
    no key is required. What is, or looks like, a gateway key is never taken for a provider's.

    ``credential.provider`` is `Location.implied_provider`: "" when the target URL alone can tell. ``required``: whether
    ``key_ring`` is configured, where that was asked before; ``bearer`` what `plain_bearer` found.

    Raises:
        AuthenticationFailed: keys are configured and none of the request's is valid.
        BadRequest: the path, which is forwarded and logged, holds a gateway key.
    """
    required = key_ring.configured if required is None else required
    if bearer is not None and (plain := await bearer.credentials(key_ring, required=required)) is not None:
        return plain
    candidates = _candidates(location, headers, query, metadata_auth)
    if len(candidates) > MAX_CANDIDATES:
        raise _refusal("The request carries too many credentials.")
    key: GatewayKey | None = None
    place = ""
    whole_is_ours = False
    for candidate in candidates:
        found = await key_ring.lookup(candidate.secret) if required else None
        if found is not None and key is None:
            key, place = found, candidate.place
        if not candidate.header and candidate.place == "authorization":
            candidate.ours = whole_is_ours = found is not None
        else:
            candidate.ours = (
                found is not None
                or candidate.place in ("helicone-auth", "path")
                or looks_like_key(candidate.secret)
                or (whole_is_ours and candidate.place == "authorization")
                or (required and await key_ring.knows(candidate.secret))
            )
    if required and key is None:
        raise _refusal(
            "The gateway key is not valid." if candidates else "This gateway needs a key and the request has none."
        )

    secrets = {candidate.secret for candidate in candidates if candidate.ours}
    credential: ProviderCredential | None = None
    for candidate in candidates:
        usable = key is None or place in ("helicone-auth", "path") or place == candidate.place == "authorization"
        if usable and candidate.header and not candidate.ours and not holds_secret(_raw(candidate.value), secrets):
            credential = ProviderCredential(candidate.header, candidate.value, location.implied_provider)
            break
    found_secrets = tuple(sorted(secrets - {""})) if secrets else ()
    if found_secrets:
        path = unquote(location.client_path)
        if any(len(secret) >= 8 and secret in path for secret in found_secrets):
            raise BadRequest("The path holds a gateway key; send it in a header.", code="key_in_path")
    left = without_keys(query, secrets)[0] if query else ""
    return Credentials(key, credential, forwardable(headers, secrets), left, found_secrets)


def _candidates(location: Location, headers: Headers, query: str, metadata_auth: str | None) -> list[_Candidate]:
    sent: dict[bytes, list[str]] = {}
    for name, raw in headers.raw:
        if name in _KEY_FIELDS:
            sent.setdefault(name, []).append(raw.decode("latin-1").strip())
    found: list[_Candidate] = []
    auth = sent.get(b"helicone-auth") or ([metadata_auth] if metadata_auth else [])
    found += [_Candidate("helicone-auth", _token(value.strip())) for value in auth]
    if location.path_key:
        found.append(_Candidate("path", location.path_key))
    for field_name, raw_name in _IN_ORDER:
        for value in sent.get(raw_name, ()):
            if field_name == "authorization":
                found += _authorization(value)
            else:
                found.append(_Candidate(field_name, _token(value), field_name, value))
    if query:
        found += [_Candidate("?key", value, "?key", value) for value in without_keys(query, ())[1]]
    for value in sent.get(b"sec-websocket-protocol", ()):
        for protocol in value.split(","):
            if protocol.strip().startswith(WEBSOCKET_KEY):
                secret = protocol.strip().removeprefix(WEBSOCKET_KEY)
                found.append(_Candidate("sec-websocket-protocol", secret, "authorization", f"Bearer {secret}"))
    return [candidate for candidate in found if candidate.secret]


def _authorization(value: str) -> Iterator[_Candidate]:
    """The tokens of one ``Authorization``; any other scheme is one opaque value (SigV4's has commas, too)."""
    scheme = _BEARER.match(value)
    if scheme is None:
        yield _Candidate("authorization", "" if value.lower() == "bearer" else _text(value), "authorization", value)
        return
    token = value[scheme.end() :]
    parts = _NEXT_BEARER.split(token)
    if len(parts) > 1:
        # A gateway key may be any string, even one that reads like two; as a whole it is never a provider's.
        yield _Candidate("authorization", _text(token))
    for part in parts:
        yield _Candidate("authorization", _text(part), "authorization", f"Bearer {part}" if len(parts) > 1 else value)


def _token(value: str) -> str:
    scheme = _BEARER.match(value)
    return _text(value[scheme.end() :] if scheme else value)


def _raw(value: str) -> bytes:
    """A field's bytes again; what came in the query may be any text."""
    return value.encode("latin-1" if value.isascii() or max(value) <= "\xff" else "utf-8")


def _text(value: str) -> str:
    """A field's value as the client meant it: UTF-8 where it is valid, else latin-1 (RFC 9110 5.5)."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _refusal(what: str) -> AuthenticationFailed:
    return AuthenticationFailed(
        f"{what} Send one as {_ACCEPTED}.", headers={"WWW-Authenticate": 'Bearer realm="helicone-gw"'}
    )
