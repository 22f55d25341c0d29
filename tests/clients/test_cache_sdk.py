"""The cache as the openai SDK sees it, over real sockets: contract 18.2 as COMPAT settles it, and one call for many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest

from helicone_gw.testing import RecordedRequest, ScriptedProvider, ScriptedResponse, of_json
from helicone_gw.testing.dialects import anthropic, openai_chat
from tests.clients.gateways import ALICE, Client, Connect, Ports, Running, configuration
from tests.program import gateway

BOB = "bob-gateway-key"
ON = {"Helicone-Cache-Enabled": "true"}
HELLO = [{"role": "user", "content": "Hello!"}]

NUMBERS = iter(range(10_000))


@pytest.fixture(scope="module", params=["hypercorn", "uvicorn", "granian"])
def caching(
    request: pytest.FixtureRequest, ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A gateway with two keys and a cache."""
    directory = tmp_path_factory.mktemp("caching")
    plugins = {"security": {"keys": {"alice": ALICE, "bob": BOB}}}, "cache", "router", "fallbacks", "retries"
    with gateway(configuration(ports, (request.param, "fast"), directory, *plugins), directory) as url:
        yield Running(url, directory)


def numbered(request: RecordedRequest) -> ScriptedResponse:
    """Another answer every time."""
    text = f"Answer {request.number} {next(NUMBERS)}"
    return openai_chat.stream(text) if b'"stream":true' in request.body else openai_chat.reply(text)


@pytest.fixture
async def asked(ports: Ports) -> AsyncIterator[ScriptedProvider]:
    """The provider, which never says the same thing twice."""
    provider = ScriptedProvider(default=numbered)
    async with provider.serve(port=ports.provider):
        yield provider


@pytest.fixture
def chat(connect: Connect, caching: Running) -> Client:
    return connect("openai", f"{caching.url}/v1", api_key=ALICE)


async def create(client: Client, headers: dict[str, str] | None = None, **body: Any) -> tuple[Any, str | None]:
    """A chat completion, and what the gateway says of its cache. Every test asks about a topic of its own."""
    method = client.sdk.chat.completions.with_raw_response.create
    given = {"model": "gpt-4o-mini", "messages": HELLO, **body}
    raw = await client.call(method, extra_headers={**ON, **(headers or {})}, **given)
    return raw, raw.headers.get("helicone-cache")


def topic(name: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": name}]}


async def test_a_miss_then_a_hit(chat: Client, asked: ScriptedProvider, caching: Running) -> None:
    first, miss = await create(chat, user="sdk-hit", **topic("hit"))
    second, hit = await create(chat, user="sdk-hit", **topic("hit"))
    assert (miss, hit, len(asked.requests)) == ("MISS", "HIT", 1)
    assert second.parse() == first.parse()
    assert second.headers["helicone-cache-bucket-idx"] == "0"
    assert int(second.headers["helicone-cache-latency"]) >= 0
    assert "helicone-cache-bucket-idx" not in first.headers
    assert second.headers["helicone-id"] != first.headers["helicone-id"]
    newest, oldest = await caching.rows("sdk-hit", 2)
    assert (oldest["cache_status"], newest["cache_status"]) == ("miss", "hit")
    assert (newest["prompt_tokens"], newest["completion_tokens"]) == (0, 0)
    assert (oldest["prompt_tokens"], oldest["completion_tokens"]) == (12, 7)
    assert newest["annotations"]["cache.reference_id"] == oldest["request_id"]
    assert newest["annotations"]["cache.saved_completion_tokens"] == 7


async def test_a_stream_is_replayed_event_by_event(chat: Client, asked: ScriptedProvider) -> None:
    async def streamed() -> list[Any]:
        stream = await chat.call(
            chat.sdk.chat.completions.create,
            model="gpt-4o-mini",
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=ON,
            **topic("stream"),
        )
        return await chat.list(stream)

    first, second = await streamed(), await streamed()
    assert second == first
    assert first[-1].usage is not None
    assert len(asked.requests) == 1


SAME: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"headers": {"Helicone-User-Id": "u"}}),
    ({}, {"headers": {"Helicone-Session-Id": "s", "Helicone-Session-Path": "/a"}}),
    ({}, {"headers": {"Helicone-Property-Tier": "gold"}}),
    ({}, {"headers": {"Cache-Control": "max-age=60"}}),
    ({}, {"headers": {"Helicone-Cache-Debug": "true"}}),
    (
        {"headers": {"Helicone-Cache-Ignore-Keys": "request_id"}, "extra_body": {"request_id": "x"}},
        {"headers": {"Helicone-Cache-Ignore-Keys": "request_id"}, "extra_body": {"request_id": "y"}},
    ),
    (
        {"headers": {"Helicone-Cache-Ignore-Keys": '["request_id"]'}, "extra_body": {"request_id": "x"}},
        {"headers": {"Helicone-Cache-Ignore-Keys": "request_id"}, "extra_body": {"request_id": "y"}},
    ),
]


@pytest.mark.parametrize("index", range(len(SAME)))
async def test_the_same_entry(chat: Client, asked: ScriptedProvider, index: int) -> None:
    one, other = SAME[index]
    subject = topic(f"same {index}")
    assert (await create(chat, **subject, **one))[1] == "MISS"
    assert (await create(chat, **subject, **other))[1] == "HIT"


DIFFERENT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"headers": {"Helicone-Cache-Seed": "s"}}),
    ({}, {"headers": {"Helicone-Cache-Bucket-Max-Size": "2"}}),
    ({}, {"headers": {"Helicone-Cache-Ignore-Keys": "request_id"}}),
    ({}, {"extra_body": {"seed": 1}}),
    ({}, {"model": "gpt-4o"}),
    (
        {"headers": {"Helicone-Cache-Ignore-Keys": "request_id"}, "extra_body": {"metadata": {"request_id": "x"}}},
        {"headers": {"Helicone-Cache-Ignore-Keys": "request_id"}, "extra_body": {"metadata": {"request_id": "y"}}},
    ),
    (
        {"headers": {"Helicone-Auth": f"Bearer {ALICE}", "Authorization": "Bearer sk-1"}},
        {"headers": {"Helicone-Auth": f"Bearer {ALICE}", "Authorization": "Bearer sk-2"}},
    ),
    (
        {"headers": {"Helicone-Auth": f"Bearer {ALICE}", "Authorization": "Bearer sk-1"}},
        {"headers": {"Helicone-Auth": f"Bearer {BOB}", "Authorization": "Bearer sk-1"}},
    ),
]


@pytest.mark.parametrize("index", range(len(DIFFERENT)))
async def test_different_entries(chat: Client, asked: ScriptedProvider, index: int) -> None:
    one, other = DIFFERENT[index]
    subject = topic(f"different {index}")
    assert (await create(chat, **{**subject, **one}))[1] == "MISS"
    assert (await create(chat, **{**subject, **other}))[1] == "MISS"
    assert len(asked.requests) == 2


async def test_whitespace_makes_no_difference_and_order_does(
    caching: Running, asked: ScriptedProvider, connect: Connect
) -> None:
    client = connect("openai", f"{caching.url}/v1", api_key=ALICE).sdk._client
    bodies = [
        b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"space"}]}',
        b'{ "model": "gpt-4o-mini",\n "messages": [ {"role": "user", "content": "space"} ] }',
        b'{"messages":[{"role":"user","content":"space"}],"model":"gpt-4o-mini"}',
    ]
    fields = {**ON, "Authorization": f"Bearer {ALICE}", "Content-Type": "application/json"}
    told = []
    for body in bodies:
        reply = await client.post(f"{caching.url}/v1/chat/completions", content=body, headers=fields)
        told.append(reply.headers["helicone-cache"])
    assert told == ["MISS", "HIT", "MISS"]


async def test_two_keys_and_two_buckets(caching: Running, asked: ScriptedProvider, connect: Connect) -> None:
    alice, bob = (connect("openai", f"{caching.url}/v1", api_key=key) for key in (ALICE, BOB))
    assert [(await create(each, **topic("keys")))[1] for each in (alice, bob, alice, bob)] == ["MISS"] * 2 + ["HIT"] * 2


async def test_three_buckets(chat: Client, asked: ScriptedProvider) -> None:
    headers = {"Helicone-Cache-Bucket-Max-Size": "3"}
    told, texts = [], []
    for _ in range(6):
        raw, said = await create(chat, headers, **topic("buckets"))
        told.append(said)
        texts.append(raw.parse().choices[0].message.content)
        if said == "HIT":
            assert texts[-1] == texts[int(raw.headers["helicone-cache-bucket-idx"])]
    assert told == ["MISS"] * 3 + ["HIT"] * 3


async def test_more_than_twenty_buckets(chat: Client, asked: ScriptedProvider) -> None:
    with pytest.raises(openai.BadRequestError, match="at most 20"):
        await create(chat, {"Helicone-Cache-Bucket-Max-Size": "21"})
    assert not asked.requests


@pytest.mark.parametrize("answer", [of_json({"id": "x", "choices": []}, 201), openai_chat.error(400)])
async def test_other_statuses_are_never_stored(chat: Client, asked: ScriptedProvider, answer: ScriptedResponse) -> None:
    asked.default = answer
    for _ in range(2):
        if answer.status == 400:
            with pytest.raises(openai.BadRequestError) as refused:
                await create(chat, **topic(f"status {answer.status}"))
            assert refused.value.response.headers["helicone-cache"] == "MISS"
        else:
            assert (await create(chat, **topic(f"status {answer.status}")))[1] == "MISS"
    assert len(asked.requests) == 2


async def test_a_cut_stream_is_never_stored(chat: Client, asked: ScriptedProvider) -> None:
    asked.default = openai_chat.stream("One two three four five six").cut(events=5)
    for _ in range(2):
        with pytest.raises(openai.APIError):
            stream = await chat.call(
                chat.sdk.chat.completions.create, model="gpt-4o-mini", stream=True, extra_headers=ON, **topic("cut")
            )
            await chat.list(stream)
    assert len(asked.requests) == 2


async def test_messages_of_the_anthropic_sdk(caching: Running, asked: ScriptedProvider, connect: Connect) -> None:
    asked.default = anthropic.reply("Hi")
    claude = connect("anthropic", caching.url, api_key=ALICE)
    told = []
    for _ in range(2):
        method = claude.sdk.messages.with_raw_response.create
        raw = await claude.call(method, model="claude-test", max_tokens=9, messages=HELLO, extra_headers=ON)
        told.append((raw.headers["helicone-cache"], (await _parsed(raw)).content[0].text))
    assert told == [("MISS", "Hi"), ("HIT", "Hi")]


async def _parsed(raw: Any) -> Any:
    parsed = raw.parse()
    return await parsed if asyncio.iscoroutine(parsed) else parsed


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hundred_at_once_over_sockets_are_one_call(
    caching: Running, asked: ScriptedProvider, connect: Connect, stream: bool
) -> None:
    async def slowly(request: RecordedRequest) -> ScriptedResponse:
        await asyncio.sleep(0.5)
        return numbered(request).paced(0.02)

    asked.default = slowly
    clients = [connect("openai", f"{caching.url}/v1", api_key=ALICE) for _ in range(10)]
    subject = topic(f"hundred {stream}")

    async def one(client: Client) -> str:
        if not stream:
            raw, _ = await create(client, **subject)
            return str(raw.parse().choices[0].message.content)
        chunks = await client.list(
            await client.call(
                client.sdk.chat.completions.create, model="gpt-4o-mini", stream=True, extra_headers=ON, **subject
            )
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    texts = await asyncio.gather(*(one(clients[index % 10]) for index in range(100)))
    assert len(asked.requests) == 1
    assert len(set(texts)) == 1
    assert texts[0].startswith("Answer")


async def test_a_leader_who_leaves_takes_nothing_from_the_others(
    caching: Running, asked: ScriptedProvider, connect: Connect
) -> None:
    asked.default = openai_chat.stream([f"{number} " for number in range(20)]).paced(0.1)
    leader, follower = (connect("openai", f"{caching.url}/v1", api_key=ALICE) for _ in range(2))
    given = {"model": "gpt-4o-mini", "stream": True, **topic("leaving")}
    stream = await leader.sdk.chat.completions.create(extra_headers={**ON, "Helicone-User-Id": "leader"}, **given)
    await anext(aiter(stream))
    other = await follower.sdk.chat.completions.create(extra_headers={**ON, "Helicone-User-Id": "follower"}, **given)
    await stream.close()
    await leader.close()
    chunks = [chunk async for chunk in other]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.split() == [str(number) for number in range(20)]
    assert len(asked.requests) == 1
    assert not asked.closed_by_client.is_set()
    rows = [*await caching.rows("leader"), *await caching.rows("follower")]
    assert [(row["outcome"], row["cache_status"]) for row in rows] == [
        ("client_disconnected", "miss"),
        ("ok", "joined"),
    ]
