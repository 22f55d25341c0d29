"""Keys: the question, as one hash. Two requests have the same key only if the same answer is right for both.

Whatever could change the answer, or say who may see it, is a part; what is not known to be harmless counts as if it
could. The parts, each with its type and length so that none can pass for the end of another:

======== ==============================================================================================================
scope    organization, owner and gateway key of the caller, and what that key may use
sender   the provider credential that the client brought, by field and value
setup    providers and models of the configuration, and the plugins inside the cache with theirs (`Chain.fingerprint`)
where    method, provider, route, dialect, operation, path, query, model string, streamed or not
cache    seed, number of buckets, ignored keys, ``Helicone-Cache-Control``
helicone every other Helicone header but those of `HARMLESS`
headers  the fields that speak to a provider's API or are credentials of a kind that we do not know (`matters`)
vary     what the plugins inside, or the configuration, also look at: user, session, key, headers, properties
body     the JSON without whitespace and ignored keys, in its own order and spelling; other bytes as they are
======== ==============================================================================================================
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from itertools import compress
from operator import attrgetter, is_
from typing import Any

import msgspec

from helicone_gw import Exchange, GatewayConfig, Headers, HeliconeHeaders
from helicone_gw_cache.config import Share
from helicone_gw_cache.policy import Policy

PARTS = ("scope", "sender", "setup", "where", "cache", "helicone", "headers", "vary", "body")
_VERSION = "helicone-gw cache key 1"

HARMLESS = frozenset(
    {
        "request_id",
        "user_id",
        "session_id",
        "session_path",
        "session_name",
        "properties",
        "omit_request",
        "omit_response",
        "fallbacks",  # fallbacks_raw says the same
        "fallbacks_error",
        "increase_timeout",
        "server_timing",
        "cache",  # a part of its own
        "retry",
        "rate_limit_policy",
        "experiment_id",
        "experiment_column_id",
        "experiment_row_index",
        "node_id",
        "webhook_enabled",
        "posthog_key",
        "posthog_host",
        "lytix_key",
        "lytix_host",
        "stripe_customer_id",
        "warnings",
    }
)
"""Helicone headers that change neither an answer nor its safety: names for the log, retries, limits, integrations."""

_COUNTED = tuple(name for name in HeliconeHeaders.__struct_fields__ if name not in HARMLESS)
_counted = attrgetter(*_COUNTED)
_USUAL = _counted(HeliconeHeaders())

_where = attrgetter("method", "provider", "router", "dialect", "operation", "path", "query", "model", "stream")

_PACKER = msgspec.msgpack.Encoder()
_EMPTY = _PACKER.encode(b"")
_GOOGLE_TOKEN = "ya29."  # noqa: S105 - how Google's short-lived tokens begin, and none of them


class Keys:
    """Makes keys. ``fingerprint`` is that of the plugins inside, ``vary`` what they look at (see `Plugin.vary`)."""

    def __init__(
        self, config: GatewayConfig, fingerprint: str, vary: Collection[str] = (), share: Share = "key"
    ) -> None:
        self._setup = _setup(config, fingerprint)
        self._vary = tuple(_fact(name) for name in sorted(set(vary)))
        self._kept = f"cache:{id(self)}"
        self._share = share

    def key(self, exchange: Exchange, policy: Policy) -> str:
        """The key of what ``exchange`` asks now: 64 hexadecimal digits."""
        begun = None if self._vary else self._begun(exchange, policy)
        if begun is None:
            return hashlib.sha256(_packed((_VERSION, *self._parts(exchange, policy)))).hexdigest()
        digest = begun.copy()
        digest.update(_PACKER.encode(canonical(exchange.request.body or b"", policy.ignore_keys)))
        return digest.hexdigest()

    def _begun(self, exchange: Exchange, policy: Policy) -> hashlib._Hash | None:
        """The hash of all parts but the body, kept for the caller's next request with the same head.

        ``None`` for what cannot be packed as it is.
        """
        request = exchange.request
        # All that those parts are made of, but for the headers themselves.
        caller = exchange.organization, exchange.key, exchange.permits, exchange.credential
        of = (self, policy, request.helicone, *caller)
        where = _where(request)
        kept = request.headers.kept
        last = kept.get(self._kept)
        if last is not None and all(map(is_, last[0], of)) and last[1] == where:
            begun: hashlib._Hash = last[2]
            return begun
        try:
            packed = _PACKER.encode((_VERSION, *self._parts(exchange, policy)[:-1], b""))
        except UnicodeEncodeError:
            return None
        begun = hashlib.sha256(packed.removesuffix(_EMPTY))
        kept[self._kept] = (of, where, begun)
        return begun

    def explained(self, exchange: Exchange, policy: Policy) -> str:
        """The parts, each as eight digits of its hash: where two of them differ, so do the questions."""
        # Told apart by caller, so that a short hash of a credential says nothing to anybody else.
        parts = self._parts(exchange, policy)
        digests = (hashlib.sha256(_packed((parts[0], part))).hexdigest()[:8] for part in parts)
        return ", ".join(f"{name}={digest}" for name, digest in zip(PARTS, digests, strict=True))

    def _parts(self, exchange: Exchange, policy: Policy) -> tuple[Any, ...]:
        request, helicone = exchange.request, _counted(exchange.request.helicone)
        return (
            _scope(exchange, self._share),
            _sender(exchange),
            self._setup,
            _where(request),
            (policy.seed, policy.bucket_size, policy.ignore_keys, request.helicone.cache.control),
            None if helicone == _USUAL else helicone,
            _telling(request.headers),
            [get(exchange) for get in self._vary] if self._vary else None,
            canonical(request.body or b"", policy.ignore_keys),
        )


def canonical(body: bytes, ignored: Collection[str] = ()) -> bytes:
    """``body`` without JSON's whitespace and without top-level members of the names ``ignored``.

    Every token stays as it was spelled and where it was: parsers may differ over names given twice, escapes and large
    numbers, so two bodies that any of them could tell apart stay different. What is not JSON stays as it is.
    """
    try:
        compact: bytes = msgspec.json.format(body, indent=-1)
    except (msgspec.DecodeError, RecursionError):
        return b"raw:" + body
    if ignored and compact.startswith(b"{"):
        compact = _without(compact, ignored)
    return compact


_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]|[\]}]|,', re.DOTALL)


def _without(compact: bytes, names: Collection[str]) -> bytes:
    kept = [member for name, member in _members(compact) if name not in names]
    return b"{" + b",".join(kept) + b"}"


def _members(compact: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and text of every member, in order, of an object that `msgspec.json.format` made compact."""
    depth, start = 0, 1
    name: str | None = None
    for token in _TOKEN.finditer(compact, 1, len(compact) - 1):
        kind = compact[token.start()]
        if kind == 0x22:
            if name is None:
                name = _name(token.group())
        elif kind in b"[{":
            depth += 1
        elif kind in b"]}":
            depth -= 1
        elif depth == 0 and name is not None:
            yield name, compact[start : token.start()]
            start, name = token.end(), None
    if name is not None:
        yield name, compact[start:-1]


def _name(token: bytes) -> str:
    try:
        return msgspec.json.decode(token, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return token.decode("utf-8", "replace")  # no text, so no name that anybody would ignore


_API = ("openai-", "anthropic-", "x-goog-", "x-amz-", "x-ms-", "cf-aig-")
_WORD = re.compile(
    r"auth|token|secret|key|credential|cookie|signature|session|account|tenant|organi[sz]ation|project|workspace"
    r"|version|beta|region|deployment|feature"
)
_TELEMETRY = ("x-stainless-", "sec-", "x-goog-api-client", "idempotency-", "x-b3-", "x-datadog-", "sentry-", "x-amzn-")


@lru_cache(maxsize=1024)
def matters(name: bytes) -> bool:
    """Whether the field of this name (lower case) may change an answer, or say whose it is."""
    text = name.decode("latin-1")
    if text.startswith(_TELEMETRY):
        return False
    return text.startswith(_API) or _WORD.search(text) is not None


# Cookies of load balancers, of guards against robots and of this gateway: which machine answers, and whether a browser
# asks. Clients that keep cookies send another one with every request, or every half an hour, and would never hit.
_CARRIER = re.compile(
    rb"\s*(?:__cf|_cfuvid|cf_clearance|awsalb|awselb|gclb|gcilb|arraffinity|applicationgatewayaffinity|bigipserver"
    rb"|ak_bmsc|bm_s[vz]|_abck|incap_ses|visid_incap|nlbi_|(?:__host-|__secure-)?helicone_gw)[^=;]*=",
    re.IGNORECASE,
)


def _telling(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The fields that matter, without cookies that do not."""
    found = list(compress(headers.raw, map(matters, headers.names)))
    if b"cookie" in headers.first:
        told = [(name, _cookies(value) if name == b"cookie" else value) for name, value in found]
        found = [(name, value) for name, value in told if value or name != b"cookie"]
    return found


def _cookies(value: bytes) -> bytes:
    return b";".join([part.strip() for part in value.split(b";") if part.strip() and _CARRIER.match(part) is None])


def _scope(exchange: Exchange, share: Share) -> tuple[Any, ...]:
    key = exchange.key
    if key is None:
        return (exchange.organization,)
    permits = exchange.permits
    # An entry was permitted to those who may use the same; whoever may use less must not find it.
    rights = None if permits is None else (permits.models, permits.providers, permits.paths)
    return (exchange.organization, key.owner, key.id if share == "key" else None, rights)


def _sender(exchange: Exchange) -> tuple[Any, ...] | None:
    credential = exchange.credential
    if credential is None:
        return None
    value = credential.value
    if _GOOGLE_TOKEN in value and exchange.key is not None and _is_google_token(value):
        # It is another one every hour, for the same account. Without a gateway key it alone tells who is asking.
        return (credential.provider, credential.header)
    return (credential.provider, credential.header, value)


def _is_google_token(value: str) -> bool:
    return any(word.startswith(_GOOGLE_TOKEN) for word in value.split(" "))


def _setup(config: GatewayConfig, fingerprint: str) -> bytes:
    # Secrets print as stars, so that a new key to the same account changes nothing.
    sections = [
        {name: entry.model_dump_json() for name, entry in sorted(section.items())}
        for section in (config.providers, config.models)
    ]
    return hashlib.sha256(_packed((fingerprint, *sections, config.translation.model_dump_json()))).digest()


def _fact(name: str) -> Callable[[Exchange], Any]:
    """What reads a fact of a request (`Plugin.vary`). Raises `ValueError` for a name that means nothing."""
    kind, _, field = name.partition(":")
    if name == "user":
        return lambda exchange: exchange.request.user
    if name == "session":
        return lambda exchange: exchange.request.helicone.session_id
    if name == "key":
        return lambda exchange: None if exchange.key is None else exchange.key.name
    if kind == "property" and field:
        return lambda exchange: exchange.request.helicone.properties.get(field)
    if kind == "header" and field:
        return lambda exchange: exchange.request.headers.get_all(field)
    raise ValueError(f"{name!r} is not user, session, key, header:<name> or property:<name>")


def _packed(parts: Any) -> bytes:
    """``parts`` as MessagePack: every value with its type and length, so that no two tuples look alike."""
    try:
        return _PACKER.encode(parts)
    except UnicodeEncodeError:  # a lone surrogate
        return repr(parts).encode("utf-8", "surrogatepass")
