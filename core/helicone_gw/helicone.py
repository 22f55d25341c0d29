"""Helicone's headers: every ``Helicone-*`` request header parsed once into `HeliconeHeaders`, and the response headers'
names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from helicone_gw.headers import Headers, RawHeaders, name_of
from helicone_gw.ingress.fallbacks import Fallbacks, FallbackTarget, parse_fallbacks
from helicone_gw.ingress.fields import SWITCHES, Fields, our_fields
from helicone_gw.ingress.metadata import lift_metadata, metadata_auth

__all__ = [
    "EMPTY",
    "CacheHeaders",
    "FallbackTarget",
    "HeliconeHeaders",
    "Properties",
    "RetryHeaders",
    "lift_metadata",
    "metadata_auth",
    "parse_helicone_headers",
]

BodyMapping = Literal["OPENAI", "RESPONSES", "NO_MAPPING"]
PromptMode = Literal["production", "testing", "deactivated"]
TokenLimitHandler = Literal["truncate", "middle-out", "fallback"]

HELICONE_TRANSLATION_LOSS = "helicone-translation-loss"


class Properties(Mapping[str, str]):
    """Properties of a request: keys are compared case-insensitively and shown as first sent. Immutable.

    >>> Properties([("App-Version", "1"), ("app-version", "2")])["APP-VERSION"]
    '1'
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: Iterable[tuple[str, str]] = ()) -> None:
        self._entries: dict[str, tuple[str, str]] = {}
        for key, value in entries:
            self._entries.setdefault(key.lower(), (key, value))

    def __getitem__(self, key: str) -> str:
        return self._entries[key.lower()][1]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._entries

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Properties({dict(self)!r})"


class CacheHeaders(Struct, frozen=True):
    """``Helicone-Cache-*``. ``None``: not said, so that the configuration decides.

    ``enabled`` asks for both of ``save`` and ``read``. ``bucket_max_size`` is at least 1 and may exceed what is allowed
    (20). ``control`` is ``Helicone-Cache-Control``, which is only recorded: the lifetime is in the standard
    ``Cache-Control`` of the request's headers. ``ignore_keys`` are top-level keys of the JSON body. ``debug`` asks for
    the key and the reason of a miss.
    """

    enabled: bool | None = None
    save: bool | None = None
    read: bool | None = None
    bucket_max_size: int | None = None
    seed: str | None = None
    ignore_keys: tuple[str, ...] = ()
    control: str | None = None
    debug: bool | None = None


class RetryHeaders(Struct, frozen=True):
    """``Helicone-Retry-*``. ``num`` is retries after the first attempt; times are milliseconds; ``None``: not said."""

    enabled: bool | None = None
    num: int | None = None
    factor: float | None = None
    min_timeout_ms: int | None = None
    max_timeout_ms: int | None = None


class HeliconeHeaders(Struct, frozen=True):
    """What a client asked for with ``Helicone-*`` headers; ``None`` where it did not say, or said it malformed.

    ``Helicone-Auth`` is not here: it is a credential, read by ``ingress.credentials`` and kept nowhere.
    ``properties`` (a `Properties`) contains what Helicone adds by itself: session, prompt, experiment and cache headers
    under their full names. ``fallbacks`` is ``None`` with ``fallbacks_error`` set when the header cannot be read.
    ``warnings`` name every malformed value, for the client and the log.
    """

    request_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    session_path: str | None = None
    session_name: str | None = None
    properties: Mapping[str, str] = field(default_factory=Properties)
    prompt_id: str | None = None
    prompt_version: str | None = None
    prompt_mode: PromptMode = "deactivated"
    prompt_name: str | None = None
    prompt_format: str | None = None
    omit_request: bool = False
    omit_response: bool = False
    model_override: str | None = None
    target_url: str | None = None
    openai_api_base: str | None = None
    fallbacks: Fallbacks | None = None
    fallbacks_raw: str | None = None
    fallbacks_error: str | None = None
    gateway_body_mapping: BodyMapping | None = None
    increase_timeout: bool = False
    server_timing: bool = False
    translation_strict: bool | None = None
    stream_force_format: bool = False
    stream_usage: bool = False
    cache: CacheHeaders = CacheHeaders()
    retry: RetryHeaders = RetryHeaders()
    rate_limit_policy: str | None = None
    moderations_enabled: bool | None = None
    llm_security_enabled: bool | None = None
    llm_security_advanced: bool | None = None
    peyeeye_enabled: bool | None = None
    token_limit_exception_handler: TokenLimitHandler | None = None
    experiment_id: str | None = None
    experiment_column_id: str | None = None
    experiment_row_index: str | None = None
    node_id: str | None = None
    webhook_enabled: bool | None = None
    posthog_key: str | None = None
    posthog_host: str | None = None
    lytix_key: str | None = None
    lytix_host: str | None = None
    stripe_customer_id: str | None = None
    upstash_callback: str | None = None
    org_id: str | None = None
    jwt: str | None = None
    manual_access_key: str | None = None
    warnings: tuple[str, ...] = ()

    def replace(self, **changes: Any) -> HeliconeHeaders:
        """A copy with these fields changed."""
        return replace(self, **changes)

    def __repr__(self) -> str:
        # Nothing that may be a credential, and nothing that was not said: it ends up in logs and stack traces.
        said = [
            f"{name}={value!r}"
            for name in self.__struct_fields__
            if name not in _SECRET and (value := getattr(self, name)) != getattr(EMPTY, name, None)
        ]
        return f"HeliconeHeaders({', '.join(said)})"


_SHORT = 256
"""Bytes of values up to which `SWITCHES` are remembered."""
_SECRET = frozenset(
    {"fallbacks_raw", "fallbacks", "posthog_key", "lytix_key", "upstash_callback", "jwt", "manual_access_key"}
)

EMPTY = HeliconeHeaders()
"""Of a request without any of these headers."""


def parse_helicone_headers(
    headers: Headers, metadata: Mapping[str, object] | None = None, head: bytes = b""
) -> HeliconeHeaders:
    """Parse every Helicone request header. Never raises: what is malformed is listed in ``warnings``.

    Args:
        headers: the request's, as they came.
        metadata: the JSON body's ``metadata``, or what `lift_metadata` made of it: its ``Helicone-*`` keys count as
            headers, a real header wins.
        head: the request's head as it came, if the server gives it: where properties keep their spelling.

    Returns:
        `EMPTY` when there is nothing to say.
    """
    ours = our_fields(headers)
    if not metadata:
        if not ours:
            return EMPTY
        if SWITCHES.issuperset(map(name_of, ours)) and sum([len(value) for _, value in ours]) <= _SHORT:
            return _of_switches(ours)
    return _parsed(Fields(ours, metadata, head))


def _parsed(fields: Fields) -> HeliconeHeaders:
    if not fields:
        return EMPTY
    said = fields.read()
    cache, retry = said.pop("cache", None), said.pop("retry", None)
    properties = Properties((*_automatic(fields, cache), *fields.properties()))
    if cache is not None:
        said["cache"] = CacheHeaders(**cache)
    if retry is not None:
        said["retry"] = RetryHeaders(**retry)
    if "prompt_id" in said:
        said.setdefault("prompt_mode", "production")
    if "fallbacks_raw" in said:
        try:
            said["fallbacks"] = parse_fallbacks(said["fallbacks_raw"])
        except ValueError as problem:
            fields.warnings.append(f"Helicone-Fallbacks cannot be read: {problem}")
            said["fallbacks_error"] = f"Helicone-Fallbacks cannot be read: {problem}."
    if not said and not properties and not fields.warnings:
        return EMPTY
    return HeliconeHeaders(properties=properties, warnings=tuple(fields.warnings), **said)


@lru_cache(maxsize=256)
def _of_switches(ours: RawHeaders) -> HeliconeHeaders:
    """What `SWITCHES` come to, remembered for the combinations that were seen last."""
    return _parsed(Fields(ours, None))


def _automatic(fields: Fields, cache: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """The properties that Helicone adds by itself, under the headers' own names."""
    yield from fields.recorded()
    if cache is not None and cache.get("enabled"):
        yield "Helicone-Cache-Enabled", "true"
    if fields.text("helicone-posthog-key") is not None:
        yield "Helicone-Sent-To-Posthog", "true"
