"""The hooks of ``semantic-cache``."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

from helicone_gw import ConfigError, Plugin, StashKey, hookimpl, measured
from helicone_gw_semantic_cache.config import SemanticCacheConfig
from helicone_gw_semantic_cache.counts import CacheCounts
from helicone_gw_semantic_cache.embedding import Embedder
from helicone_gw_semantic_cache.index import Index
from helicone_gw_semantic_cache.keeping import Keeping
from helicone_gw_semantic_cache.lookup import Found, Lookup
from helicone_gw_semantic_cache.pending import Pending, Trial
from helicone_gw_semantic_cache.policy import Policies, Policy, Wishes, wishes_of
from helicone_gw_semantic_cache.questions import Question, is_conversation, question_of
from helicone_gw_semantic_cache.scope import Scopes
from helicone_gw_semantic_cache.serving import CACHE, note_found, serve
from helicone_gw_semantic_cache.trials import Trials
from helicone_gw_semantic_cache.truth import Meter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from helicone_gw import Chunk, Exchange, Gateway, Measurement, Response

LONGEST_LABEL = 128
"""Characters of a model string by which hits are tallied."""


class SemanticCachePlugin(Plugin):
    """Answers questions that mean what was asked before; see the README for what it cannot know."""

    Config = SemanticCacheConfig
    on_failure = "open"
    chunks_on_request = True
    after = ("logging", "security", "ratelimit", "cache")
    before = ("router", "fallbacks", "retries")
    config: SemanticCacheConfig
    embedder: Embedder
    lookup: Lookup
    trials: Trials
    _scopes: Scopes
    _keeping: Keeping

    def __init__(self, config: SemanticCacheConfig, name: str) -> None:
        super().__init__(config, name)
        self.counts = CacheCounts()
        self.index = Index(config.max_scopes, config.max_entries, int(config.max_bytes))
        self.meter = Meter(config.meter)
        self.random = random.random
        self._policies = Policies(config)
        self._pending: StashKey[Pending] = StashKey(f"{name}.pending")

    def measurements(self) -> Iterator[Measurement]:
        """What became of requests, vectors, answers and samples: of those, ``other`` were wrong and ``same`` right."""
        yield from measured(self.name, self.counts, "Answers by meaning")
        yield from measured(f"{self.name}_vectors", self.embedder.counts, "Vectors of questions")
        yield from measured(f"{self.name}_index", self.index.counts, "Answers that went")
        yield from measured(f"{self.name}_meter", self.meter.counts, "Hits that were asked again")

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """See what the plugins inside are, and look at. Raises `ConfigError` for a provider that there is not."""
        provider = self.config.embeddings.provider
        if provider is not None and gateway.catalogue.get(provider) is None:
            raise ConfigError([f"embeddings.provider: no provider is named {provider!r}"])
        config, name, index = self.config, self.name, self.index
        inside = gateway.plugins[gateway.plugins.index(self) + 1 :]
        vary = [fact for plugin in inside for fact in plugin.vary]
        policy = gateway.chain.fingerprint(name)
        self._clock, self._background = gateway.clock, gateway.background
        self._scopes = Scopes(policy, vary, config.ignore_headers, users_apart=config.users_apart)
        self.embedder = Embedder(gateway, config.embeddings, name)
        self.lookup = Lookup(index, gateway.clock.now)
        self.trials = Trials(gateway, config.meter, name, index, self.embedder, self.meter)
        self._keeping = Keeping(gateway, name, int(config.max_answer), index, self.trials, self.counts)

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> Response | None:
        """Answer a question that means what was asked before; otherwise see to it that its answer can be kept."""
        if not self._policies.any or not is_conversation(exchange.request):
            return None
        policy = self._policies.of(exchange.request)
        return await self._visit(exchange, policy) if policy.enabled else None

    async def _visit(self, exchange: Exchange, policy: Policy) -> Response | None:
        wishes = wishes_of(exchange)
        question = self._question(exchange, wishes)
        if question is None:
            self.counts.unsuitable += 1
            return None
        request, now = exchange.request, self._clock.now()
        self.index.sweep(now)
        key, exact = self._scopes.digest(exchange, question), hashlib.sha256(question.text.encode()).digest()
        pending = Pending(key, exact, question.text, policy, request.dialect, request.operation, now)
        if self.trials.marks in exchange.stash:
            pending.trial = exchange.stash[self.trials.marks]
            self._go_on(exchange, pending)
            return None
        label = (request.router or request.model or "")[:LONGEST_LABEL]
        if self.meter.stopped(key, now) or self.meter.stopped(label, now):
            self.counts.stopped += 1
            exchange.annotate(f"{self.name}.status", "stopped")
            return None
        found = await self._find(exchange, pending, question.normal, wishes)
        if found is None:
            self._go_on(exchange, pending)
            return None
        # The very same text is no guess: there is nothing to measure.
        trial = None if found.exact else Trial(key, found.entry, found.similarity, label, exchange.request_id)
        if not self.config.serve:
            self.counts.shadowed += 1
            note_found(exchange, found, self.name, "shadow")
            if trial is not None:
                self.meter.counts.sampled += 1
            pending.trial, pending.vector = trial, None
            self._go_on(exchange, pending)
            return None
        if trial is not None and self.random() < self.config.meter.share:
            self.trials.ask_again(exchange, trial)
        return serve(exchange, found, self.name, self.counts, round((self._clock.now() - now) * 1000))

    def _question(self, exchange: Exchange, wishes: Wishes) -> Question | None:
        """What ``exchange`` asks, if it may be looked up at all."""
        body, config = exchange.request.body, self.config
        if body is None or len(body) > config.max_request or not (wishes.read or wishes.store):
            return None
        question = question_of(exchange.request)
        return None if question is None or len(question.text) > config.max_characters else question

    async def _find(self, exchange: Exchange, pending: Pending, normal: str, wishes: Wishes) -> Found | None:
        """An entry that may answer; otherwise its vector, or its coming, is put on ``pending`` if it may be kept."""
        reason: str | None = None
        if wishes.read and (same := self.lookup.same_text(pending.key, pending.exact, wishes.max_age)) is not None:
            self.counts.exact += 1
            return same
        if not wishes.read or self.index.scope(pending.key) is None:
            # Nothing to compare with, as in most conversations that go on: nobody waits for the vector.
            if wishes.store:
                self._expect(exchange, pending, normal)
        elif (vectors := await self.embedder([normal], "embedding", exchange)) is None:
            self.counts.without_vector += 1
            reason = "no vector"
        else:
            found, refused = await self.lookup.like(
                pending.key, vectors[0], pending.text, pending.policy, wishes.max_age
            )
            if found is not None:
                return found
            reason = None if refused is None else f"guard: {refused}"
            if wishes.store:
                pending.vector = vectors[0]
        self.counts.misses += 1
        exchange.headers.setdefault(CACHE, "MISS")
        exchange.annotate(f"{self.name}.status", "miss")
        if reason is not None:
            exchange.annotate(f"{self.name}.reason", reason)
        return None

    def _expect(self, exchange: Exchange, pending: Pending, normal: str) -> None:
        """Ask for the vector of a question beside the call of the provider."""
        try:
            asking = self.embedder([normal], "embedding", exchange)
            pending.coming = self._background.spawn(asking, f"{self.name}: embed a question")
        except RuntimeError:
            self.counts.without_vector += 1

    def _go_on(self, exchange: Exchange, pending: Pending) -> None:
        """Let the provider answer, and look at the answer where something is to be done with it."""
        if pending.keeps or pending.trial is not None:
            exchange.stash[self._pending] = pending
            exchange.watch_stream()

    @hookimpl
    def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> None:
        """Hold the events of a stream that may be kept."""
        pending = exchange.stash.get(self._pending)
        if pending is not None and chunk.kind == "event":
            pending.add(chunk.data, int(self.config.max_answer))

    @hookimpl
    async def on_response(self, exchange: Exchange, response: Response) -> None:
        """Take note of the answer as it comes from inside."""
        pending = exchange.stash.get(self._pending)
        if pending is not None:
            pending.response = response

    @hookimpl
    def on_finish(self, exchange: Exchange) -> None:
        """Keep the answer, or compare it; the client has it by now."""
        pending = exchange.stash.get(self._pending)
        if pending is not None:
            del exchange.stash[self._pending]
            self._keeping.take(exchange, pending)
