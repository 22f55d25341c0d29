"""Scope: everything that must be the same before one question may be answered like another, as one digest.

Who asks (organization, owner, id and permits of the gateway key, the provider credential), where (address, model
string, route), how (every byte of the body but the question, every header that may change an answer), and what stands
inside (the safety policy). What is not listed here as meaningless counts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Final

from helicone_gw import Exchange, HeliconeHeaders
from helicone_gw_semantic_cache.questions import Question

MEANINGLESS: Final = frozenset(
    {
        # Names of the request, for logs and other services.
        "experiment_column_id",
        "experiment_id",
        "experiment_row_index",
        "lytix_host",
        "lytix_key",
        "node_id",
        "omit_request",
        "omit_response",
        "posthog_host",
        "posthog_key",
        "properties",
        "request_id",
        "session_id",
        "session_name",
        "session_path",
        "stripe_customer_id",
        "upstash_callback",
        "warnings",
        "webhook_enabled",
        # How it is tried, not what is asked.
        "increase_timeout",
        "server_timing",
        "rate_limit_policy",
        "retry",
        # Read apart: `user_id` by configuration, `cache` in parts, `fallbacks` as it was written.
        "cache",
        "fallbacks",
        "user_id",
    }
)
"""Fields of `HeliconeHeaders` that change no answer. A field that is not among them counts."""

_FIELDS: Final = tuple(name for name in HeliconeHeaders.__struct_fields__ if name not in MEANINGLESS)
_PLAIN: Final = HeliconeHeaders()

_NOISE: Final = frozenset(
    {
        b"accept",
        b"accept-charset",
        b"accept-encoding",
        b"accept-language",
        b"baggage",
        b"cache-control",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"date",
        b"dnt",
        b"expect",
        b"forwarded",
        b"from",
        b"host",
        b"idempotency-key",
        b"keep-alive",
        b"origin",
        b"pragma",
        b"priority",
        b"referer",
        b"sentry-trace",
        b"te",
        b"traceparent",
        b"tracestate",
        b"transfer-encoding",
        b"upgrade-insecure-requests",
        b"user-agent",
        b"via",
        b"x-client-request-id",
        b"x-correlation-id",
        b"x-real-ip",
        b"x-request-id",
    }
)
_NOISY: Final = (b"cf-", b"sec-", b"x-amzn-", b"x-b3-", b"x-datadog-", b"x-forwarded-", b"x-stainless-", b"x-vercel-")
"""Beginnings of the names of fields that say who carried a request, or when."""

_CARRIER: Final = re.compile(
    rb"\s*(?:__cf|_cfuvid|cf_clearance|awsalb|awselb|gclb|gcilb|arraffinity|applicationgatewayaffinity|bigipserver"
    rb"|ak_bmsc|bm_s[vz]|_abck|incap_ses|visid_incap|nlbi_|helicone_gw)[^=;]*=",
    re.IGNORECASE,
)
"""Cookies of load balancers, of guards against robots and of this gateway. Any other may be a session at the provider,
and say whose the answer is."""


class Scopes:
    """Digests of what surrounds questions.

    ``policy`` is the fingerprint of the plugins inside, ``vary`` what their decisions depend on (`Plugin.vary`),
    ``ignored`` are further header fields that change no answer, in lower case. ``users_apart``: two users
    (``Helicone-User-Id``) never share an answer.
    """

    def __init__(self, policy: str, vary: Iterable[str], ignored: Iterable[str], *, users_apart: bool) -> None:
        self._policy = policy
        self._vary = tuple(sorted({*vary, "user"} if users_apart else set(vary)))
        self._noise = _NOISE | {name.lower().encode("latin-1") for name in ignored}

    def digest(self, exchange: Exchange, question: Question) -> bytes:
        """SHA-256 of what surrounds ``question``."""
        hashed = hashlib.sha256()
        texts = [text.encode("utf-8", "surrogatepass") for text in self._texts(exchange)]
        for kind, parts in ((b"t", texts), (b"h", self._headers(exchange)), (b"b", (question.before, question.behind))):
            for part in parts:
                hashed.update(b"%b%d:" % (kind, len(part)))
                hashed.update(part)
        return hashed.digest()

    def _texts(self, exchange: Exchange) -> Iterator[str]:
        request, key, credential = exchange.request, exchange.key, exchange.credential
        helicone = request.helicone
        yield self._policy
        yield exchange.organization
        yield "-" if key is None else repr((key.owner, key.id))
        yield repr(exchange.permits)
        yield "-" if credential is None else f"{credential.header} {credential.provider} {credential.fingerprint}"
        yield from (request.method, request.dialect, request.operation, request.path, request.query)
        for named in (request.model, request.provider, request.router):
            yield "-" if named is None else f"={named}"
        yield str(request.stream)
        for name in _FIELDS:
            value = getattr(helicone, name)
            if value != getattr(_PLAIN, name):
                yield f"{name}={value!r}"
        yield repr((helicone.cache.seed, helicone.cache.bucket_max_size))
        for name in self._vary:
            yield f"{name}={_varying(exchange, name)!r}"

    def _headers(self, exchange: Exchange) -> Iterator[bytes]:
        noise = self._noise
        for name, value in exchange.request.headers.raw:
            if name in noise or name.startswith(_NOISY):
                continue
            told = _cookies(value) if name == b"cookie" else value
            if told or name != b"cookie":
                yield b"%b: %b" % (name, told)


def _cookies(value: bytes) -> bytes:
    return b";".join(part.strip() for part in value.split(b";") if part.strip() and _CARRIER.match(part) is None)


def _varying(exchange: Exchange, name: str) -> str | None:
    """What `Plugin.vary` names, in this exchange."""
    helicone = exchange.request.helicone
    kind, _, which = name.partition(":")
    match kind:
        case "user":
            return helicone.user_id
        case "session":
            return helicone.session_id
        case "property":
            return helicone.properties.get(which)
        case "header":
            return exchange.request.headers.get(which)
    return None
