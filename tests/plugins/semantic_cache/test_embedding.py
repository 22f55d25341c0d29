"""Embeddings: in time or not at all, and never more of them than the model can bear."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider, VirtualClock, of_bytes, of_json
from helicone_gw.testing.dialects import embeddings
from helicone_gw_semantic_cache.config import EmbeddingsConfig
from helicone_gw_semantic_cache.embedding import FAILURES, LONGEST_REST, REST, Embedder
from tests.plugins.semantic_cache.ngrams import embed, vectors

pytestmark = pytest.mark.virtual_time

GOOD = embeddings.reply([[3.0, 4.0]])


@asynccontextmanager
async def embedding(
    gateway: GatewayFactory, upstream: ScriptedProvider, **config: Any
) -> AsyncIterator[tuple[Embedder, RunningGateway]]:
    async with gateway(provider=upstream) as running:
        yield Embedder(running.gateway, EmbeddingsConfig.model_validate(config), "test"), running


async def test_texts_become_unit_vectors_in_their_order(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=vectors)
    async with embedding(gateway, provider, model="small", dimensions=512) as (embedder, running):
        found = await embedder(["one", "two"], "embedding")
    assert found is not None
    for vector, text in zip(found, ("one", "two"), strict=True):
        assert vector.tolist() == pytest.approx(embed(text), abs=1e-6)
    assert provider.requests[0].json() == {"model": "small", "input": ["one", "two"], "dimensions": 512}
    assert running.gateway.ask.totals["test.embedding"].calls == 1


async def test_a_vector_that_is_late_is_none(gateway: GatewayFactory, virtual_time: VirtualClock) -> None:
    async with embedding(gateway, ScriptedProvider(GOOD.delayed(1)), timeout=0.25) as (embedder, _):
        began = virtual_time.monotonic()
        assert await embedder(["x"], "embedding") is None
        assert virtual_time.monotonic() - began == pytest.approx(0.25)
        assert embedder.counts.late == 1


@pytest.mark.parametrize(
    "answer",
    [
        embeddings.error(500),
        embeddings.error(401),
        of_bytes(b"<html>", "text/html"),
        of_json({"data": []}),
        of_json({"data": [{"index": 0, "embedding": []}]}),
        of_json({"data": [{"index": 0, "embedding": [0.0, 0.0]}]}),
        of_json({"data": [{"index": 0, "embedding": "!!!"}]}),
        of_json({"data": [{"index": 0, "embedding": base64.b64encode(b"abc").decode()}]}),
        of_json({"data": [{"index": 0, "embedding": [1.0] * 9000}]}),
        embeddings.reply([[1.0], [2.0]]),
        GOOD.cut(bytes=5),
    ],
)
async def test_what_holds_no_vector_is_a_failure(gateway: GatewayFactory, answer: Any) -> None:
    async with embedding(gateway, ScriptedProvider(answer)) as (embedder, _):
        assert await embedder(["x"], "embedding") is None
        assert embedder.counts.failed == 1


async def test_vectors_of_two_lengths_are_none(gateway: GatewayFactory) -> None:
    async with embedding(gateway, ScriptedProvider(embeddings.reply([[1.0], [1.0, 2.0]]))) as (embedder, _):
        assert await embedder(["x", "y"], "embedding") is None


async def test_base64_is_read_as_well(gateway: GatewayFactory) -> None:
    packed = base64.b64encode(struct.pack("<2f", 3.0, 4.0)).decode()
    answer = of_json({"data": [{"index": 0, "embedding": packed}]})
    async with embedding(gateway, ScriptedProvider(answer)) as (embedder, _):
        [vector] = await embedder(["x"], "embedding") or []
    assert vector.tolist() == pytest.approx([0.6, 0.8])


async def test_a_model_that_keeps_failing_is_left_alone(
    gateway: GatewayFactory, virtual_time: VirtualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = ScriptedProvider(default=embeddings.error(503))
    async with embedding(gateway, provider) as (embedder, _):
        for _ in range(10):
            assert await embedder(["x"], "embedding") is None
        assert (len(provider.requests), embedder.counts.resting) == (FAILURES, 10 - FAILURES)
        assert capsys.readouterr().out.count("the embedding model is left alone") == 1
        virtual_time.advance(REST)
        for _ in range(3):
            await embedder(["x"], "embedding")
        assert len(provider.requests) == FAILURES + 1  # one tries, and fails: the rest doubles
        virtual_time.advance(REST * 1.9)
        await embedder(["x"], "embedding")
        assert len(provider.requests) == FAILURES + 1
        virtual_time.advance(LONGEST_REST)
        provider.default = GOOD
        assert await embedder(["x"], "embedding") is not None
        assert await embedder(["x"], "embedding") is not None


async def test_after_a_rest_one_tries_while_the_others_go_on_resting(
    gateway: GatewayFactory, virtual_time: VirtualClock
) -> None:
    provider = ScriptedProvider(default=embeddings.error(503))
    async with embedding(gateway, provider) as (embedder, _):
        for _ in range(FAILURES):
            await embedder(["x"], "embedding")
        virtual_time.advance(REST)
        provider.default = GOOD.delayed(0.1)
        found = await asyncio.gather(*(embedder(["x"], "embedding") for _ in range(4)))
        assert sum(each is not None for each in found) == 1
        assert len(provider.requests) == FAILURES + 1


async def test_no_more_are_asked_for_at_once_than_configured(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=GOOD.delayed(0.1))
    async with embedding(gateway, provider, max_in_flight=2) as (embedder, _):
        found = await asyncio.gather(*(embedder(["x"], "embedding") for _ in range(5)))
        assert sum(each is not None for each in found) == 2
        assert embedder.counts.busy == 3
        assert await embedder(["x"], "embedding") is not None


async def test_a_client_that_leaves_makes_room(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=GOOD.delayed(0.1))
    async with embedding(gateway, provider, max_in_flight=1) as (embedder, _):
        first = asyncio.ensure_future(embedder(["x"], "embedding"))
        await provider.received()
        first.cancel()
        await asyncio.wait({first})
        assert await embedder(["x"], "embedding") is not None
        assert embedder.counts.failed == 0  # leaving says nothing of the model


async def test_a_provider_of_another_dialect_is_asked_in_its_own(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(of_json({"embeddings": [{"values": [3.0, 4.0]}]}))
    async with embedding(gateway, provider, provider="gemini", model="gemini-embedding-001") as (embedder, _):
        found = await embedder(["x"], "embedding")
    assert "gemini-embedding-001" in provider.requests[0].path
    assert found is not None
    assert found[0].tolist() == pytest.approx([0.6, 0.8])
