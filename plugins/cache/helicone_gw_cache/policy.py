"""Policy: whether and how the answer to one request is cached, from its headers, a rule and the configuration."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from helicone_gw import BadRequest, HeliconeHeaders, Request
from helicone_gw_cache.config import MOST_BUCKETS, CacheConfig, Replay, RuleConfig
from helicone_gw_cache.headers import NOTHING_SAID, control

OPERATIONS = frozenset(
    {
        "chat",
        "completions",
        "responses",
        "messages",
        "generate_content",
        "stream_generate_content",
        "embeddings",
        "embed_content",
        "batch_embed_contents",
        "rerank",
        "moderations",
    }
)
"""Operations that answer a question and change nothing. All others pass: uploads, files, sessions, whatever is read."""

_UNSAID = HeliconeHeaders().cache


class Settings(Struct, frozen=True):
    """What the configuration says of requests for one model through one route. Times are seconds."""

    enabled: bool
    ttl: float
    bucket_size: int
    replay: Replay
    stale_while_revalidate: float
    stale_if_error: float
    single_flight: bool


class Policy(Struct, frozen=True):
    """How one request is cached.

    ``asked``: a stored answer is wanted in principle, so that the client is told HIT or MISS; ``read``: also this time
    (``no-cache`` says otherwise). ``save``: the answer is to be stored. ``debug``: the client wants to know why.
    ``reason`` says why nothing is cached although it was asked for.
    """

    settings: Settings
    asked: bool
    read: bool
    save: bool
    ttl: float
    bucket_size: int
    seed: str | None
    ignore_keys: tuple[str, ...]
    debug: bool = False
    reason: str | None = None

    def refreshing(self) -> Policy:
        """The same, with the answer wanted from the provider."""
        return replace(self, read=False)


class Policies:
    """Finds policies. A request that nobody wants cached costs two comparisons."""

    def __init__(self, config: CacheConfig) -> None:
        self._config = config
        self._usual = _settings(config, None)
        self._rules = config.rules
        self._never = not config.enabled and not any(rule.enabled for rule in config.rules)
        self._of = lru_cache(maxsize=1024)(self._find)
        # Fewer: what a client says may be as long as its headers are.
        self._said = lru_cache(maxsize=128)(self._policy)

    def of(self, request: Request) -> Policy | None:
        """The policy of ``request``; ``None``: leave it alone. Raises `BadRequest` for more than 20 buckets."""
        said = request.helicone.cache
        if said is _UNSAID and self._never:
            return None
        settings = self._usual
        if self._rules:
            model, router = request.model, request.router
            # Strings of a client's own making: only those of an ordinary length are worth remembering.
            short = len(model or "") <= 256 and len(router or "") <= 256
            settings = self._of(model, router) if short else self._find(model, router)
        if not request.body or request.operation == "responses" or b"cache-control" in request.headers.first:
            return self._policy(said, settings, request.operation, request.method, request)
        return self._said(said, settings, request.operation, request.method)

    def _policy(
        self, said: Any, settings: Settings, operation: str, method: str, request: Request | None = None
    ) -> Policy | None:
        """What `HeliconeHeaders.cache` (``said``) comes to.

        ``request`` is given where there is more to look at: no body, a response's state, what ``Cache-Control`` says.
        """
        asked = said.enabled is True or said.read is True
        save = said.enabled is True or said.save is True
        if settings.enabled and said.enabled is None:
            asked = said.read is not False
            save = said.save is not False
        if not asked and not save:
            return None
        body = b"{}" if request is None else request.body
        if operation not in OPERATIONS or method != "POST" or not body:
            return _passed(settings, f"operation {operation}") if said.debug else None
        if operation == "responses" and (state := _state(body)) is not None:
            return _passed(settings, state, asked=asked)
        size = said.bucket_max_size or settings.bucket_size
        if size > MOST_BUCKETS:
            raise BadRequest(
                f"Helicone-Cache-Bucket-Max-Size is {size}; at most {MOST_BUCKETS} answers are kept for one question.",
                code="bucket_size_too_large",
            )
        wish = NOTHING_SAID if request is None else control(request.headers)
        ttl = settings.ttl if wish is NOTHING_SAID or wish.ttl is None else wish.ttl
        return Policy(
            settings,
            asked=asked,
            read=asked and not wish.no_cache and not wish.no_store,
            save=save and not wish.no_store and ttl > 0,
            ttl=ttl,
            bucket_size=size,
            seed=said.seed if said.seed is not None else self._config.seed,
            ignore_keys=said.ignore_keys or self._config.ignore_keys,
            debug=bool(said.debug),
            reason="no-store" if wish.no_store else "no-cache" if wish.no_cache else None,
        )

    def _find(self, model: str | None, router: str | None) -> Settings:
        rule = next((rule for rule in self._rules if _fits(rule, model, router)), None)
        return self._usual if rule is None else _settings(self._config, rule)


class _Stateful(Struct):
    """What makes a response more than an answer to its request."""

    conversation: Any = None
    background: Any = None


_STATEFUL = msgspec.json.Decoder(_Stateful)


def _state(body: bytes) -> str | None:
    """What the answer depends on, or changes, at the provider: a conversation that goes on, work in the background."""
    try:
        found = _STATEFUL.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # the provider will say what is wrong with it
    return "conversation" if found.conversation else "background" if found.background else None


def _passed(settings: Settings, reason: str, *, asked: bool = False) -> Policy:
    return Policy(settings, asked, False, False, 0.0, 1, None, (), True, reason)


def _fits(rule: RuleConfig, model: str | None, router: str | None) -> bool:
    if rule.models and not _matches(model, rule.models):
        return False
    return not rule.routes or _matches(router if router is not None else model, rule.routes)


def _matches(name: str | None, patterns: tuple[str, ...]) -> bool:
    return name is not None and any(fnmatchcase(name, pattern) for pattern in patterns)


def _settings(config: CacheConfig, rule: RuleConfig | None) -> Settings:
    if rule is None:
        rule = RuleConfig()
    flights = config.single_flight.enabled
    swr, sie = config.stale_while_revalidate, config.stale_if_error
    return Settings(
        enabled=config.enabled if rule.enabled is None else rule.enabled,
        ttl=config.ttl if rule.ttl is None else rule.ttl,
        bucket_size=config.bucket_size if rule.bucket_size is None else rule.bucket_size,
        replay=config.replay if rule.replay is None else rule.replay,
        stale_while_revalidate=swr if rule.stale_while_revalidate is None else rule.stale_while_revalidate,
        stale_if_error=sie if rule.stale_if_error is None else rule.stale_if_error,
        single_flight=flights if rule.single_flight is None else rule.single_flight,
    )
