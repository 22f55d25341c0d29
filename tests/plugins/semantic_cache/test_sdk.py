"""The real program on real sockets, and the openai SDK: questions that mean the same, streamed and unary."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import openai
import pytest

from helicone_gw.testing import RecordedRequest, ScriptedProvider, ScriptedResponse
from tests.plugins.semantic_cache.ngrams import answering
from tests.program import gateway

ASKED, LIKE, UNLIKE = "How do I reset my password?", "how can I reset my password", "How do I reset my router?"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def configuration(provider: str, engine: str) -> dict[str, Any]:
    return {
        "server": {"engine": engine, "drain_timeout": 2},
        "database": {"url": "sqlite://"},
        "providers": {"openai": {"base_url": f"{provider}/v1", "api_key": "sk-configured"}},
        "plugins": [
            "logging",
            "cost",
            {"cache": {"enabled": True}},
            # Of a busy machine nothing is to be learnt here about time.
            {
                "semantic-cache": {
                    "enabled": True,
                    "threshold": 0.5,
                    "embeddings": {"timeout": 30},
                    "meter": {"share": 0},
                }
            },
            "router",
            "fallbacks",
            "retries",
        ],
    }


async def streamed(client: openai.AsyncOpenAI, text: str) -> tuple[str, str | None, str]:
    """What a stream says, ``Helicone-Cache-Semantic``, and its id."""
    raw = await client.chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": text}], stream=True
    )
    chunks = [chunk async for chunk in raw.parse()]
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].choices[0].finish_reason == "stop"
    return said, raw.headers.get("helicone-cache-semantic"), raw.headers["helicone-id"]


async def unary(client: openai.AsyncOpenAI, text: str) -> tuple[str, str | None, str]:
    raw = await client.chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": text}]
    )
    answer = raw.parse()
    assert answer.usage is not None
    said = answer.choices[0].message.content or ""
    return said, raw.headers.get("helicone-cache-semantic"), raw.headers["helicone-id"]


def recent(provider: ScriptedProvider) -> list[RecordedRequest]:
    """The requests since the answer before the last one."""
    answers = [each.number for each in provider.requests if not each.path.endswith("embeddings")]
    since = answers[-2] if len(answers) > 1 else 0
    return [each for each in provider.requests if each.number > since]


@pytest.mark.parametrize("engine", ["hypercorn", "uvicorn"])
async def test_an_sdk_is_answered_from_the_cache(engine: str, tmp_path: Path) -> None:
    usual = answering()

    async def after_its_vector(request: RecordedRequest) -> ScriptedResponse:
        # A first question is not kept before its vector has come, for which no answer waits.
        if not request.path.endswith("embeddings"):
            while not any(each.path.endswith("embeddings") and each.answered.is_set() for each in recent(provider)):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
        return usual(request)

    provider = ScriptedProvider(default=after_its_vector)
    async with provider.serve() as base_url:
        with gateway(configuration(base_url, engine), tmp_path) as url:
            client = openai.AsyncOpenAI(
                base_url=f"{url}/v1",
                api_key="sk-of-the-client",
                max_retries=0,
                http_client=openai.DefaultAsyncHttpxClient(verify=NO_TLS),
            )
            async with client:
                for ask in (unary, streamed):
                    first, fresh, first_id = await ask(client, ASKED)
                    second, similarity, second_id = await ask(client, LIKE)
                    third, other, _ = await ask(client, UNLIKE)
                    assert (first, fresh) == (f"The answer to {ASKED!r}.", None)
                    assert (second, second_id == first_id) == (first, False)
                    assert similarity is not None
                    assert 0.5 < float(similarity) < 1
                    assert (third, other) == (f"The answer to {UNLIKE!r}.", None)
    paths = [request.path.rpartition("/")[2] for request in provider.requests]
    assert [sorted(paths[start : start + 2]) for start in (0, 5)] == [["completions", "embeddings"]] * 2
    assert [paths[start + 2 : start + 5] for start in (0, 5)] == [["embeddings", "embeddings", "completions"]] * 2
