"""Rate limits through openai's SDK, over a socket: the vectors of contract 18.1 as COMPAT settles them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import openai
import pytest

from helicone_gw import Usage
from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from tests.clients.conftest import DEFAULT
from tests.clients.gateways import Client, Connect, Flavour, Ports, Running, configuration
from tests.program import gateway

ASK: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}
PRICE = {"providers": ["openai"], "price": {"input_mtok": 10_000, "output_mtok": 10_000}}
"""A cent for every token."""


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory, ports: Ports) -> Iterator[Running]:
    """A gateway with a named policy, and a price of a cent a token."""
    directory = tmp_path_factory.mktemp("limited")
    plugins = [{"ratelimit": {"policies": {"basic-1": "1;w=60;s=user"}}}]
    sections = configuration(ports, DEFAULT, directory, *plugins)
    with gateway({**sections, "models": {"gpt-4o-mini": PRICE}}, directory) as url:
        yield Running(url, directory)


@pytest.fixture
def chat(limited: Running, connect: Connect, flavour: Flavour) -> Client:
    return connect("openai", f"{limited.url}/v1", flavour)


def using(tokens: int) -> Any:
    return openai_chat.answer(usage=Usage(input_tokens=tokens, output_tokens=0))


async def ask(chat: Client, policy: str, *, stream: bool = False, **fields: str) -> Any:
    """The headers of an answer, once all of it came. ``fields`` are further Helicone headers, without that word.

    Raises the SDK's exceptions.
    """
    headers = {f"Helicone-{name.replace('_', '-')}": value for name, value in fields.items()}
    raw = await chat.call(
        chat.sdk.chat.completions.with_raw_response.create,
        **ASK,
        stream=stream,
        extra_headers={"Helicone-RateLimit-Policy": policy, **headers},
    )
    if stream:
        await chat.list(raw.parse())
    return raw.headers


def told(headers: Any) -> dict[str, str]:
    """What an answer says of limits, by the last word of each header."""
    prefix = "helicone-ratelimit-"
    return {name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix)}


def of_its_own() -> dict[str, str]:
    """A segment that no other test draws on: ``s=run``."""
    return {"Property_Run": uuid4().hex}


@pytest.mark.parametrize(
    ("policy", "limit", "canonical"),
    [
        ("1000;w=3600", "1000", "1000;w=3600"),
        ("10.5;w=60;u=cents", "10.5", "10.5;w=60;u=cents"),
        ("100;w=60;s=user", "100", "100;w=60;s=user"),
        ("100;w=60;u=cents;s=Organization", "100", "100;w=60;u=cents;s=organization"),
        ("100;w=60;u=tokens", "100", "100;w=60;u=tokens"),
        ("100;W=60;U=REQUEST", "100", "100;w=60"),
    ],
)
async def test_what_is_well_formed_limits(
    chat: Client, provider: ScriptedProvider, policy: str, limit: str, canonical: str
) -> None:
    """Also with a segment that the request has no value for: it is then the anonymous one."""
    provider.enqueue(using(0))
    headers = told(await ask(chat, policy))
    assert (headers["limit"], headers["policy"]) == (limit, canonical)
    assert int(headers["remaining"]) <= float(limit)


@pytest.mark.parametrize(
    "policy", ["100;w=59", "100;w=31536001", "0;w=60", "100;w=60;s=user;u=cents", "100; w=60", "basic-100"]
)
async def test_what_is_malformed_is_told_and_ignored(chat: Client, provider: ScriptedProvider, policy: str) -> None:
    provider.enqueue(using(1))
    headers = await ask(chat, policy)
    assert told(headers) == {}
    assert headers["helicone-warning"].startswith("Helicone-RateLimit-Policy cannot be read: ")


@pytest.mark.parametrize("stream", [False, True])
async def test_two_of_a_minute(chat: Client, provider: ScriptedProvider, stream: bool) -> None:
    provider.enqueue(using(1), using(1))
    mine = of_its_own()
    assert told(await ask(chat, "2;w=60;s=run", stream=stream, **mine))["remaining"] == "1"
    assert told(await ask(chat, "2;w=60;s=run", stream=stream, **mine))["remaining"] == "0"
    with pytest.raises(openai.RateLimitError) as caught:
        await ask(chat, "2;w=60;s=run", stream=stream, **mine)
    error = caught.value
    assert (error.status_code, error.code, error.type) == (429, "rate_limit_exceeded", "rate_limit_error")
    assert told(error.response.headers)["policy"] == "2;w=60;s=run"
    # Time passes while the calls are made, but not half a minute.
    assert 1 <= int(error.response.headers["retry-after"]) <= 30
    assert 30 < int(told(error.response.headers)["reset"]) <= 60
    assert told(error.response.headers)["limit"] == "2"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_of_150_cents_is_let_in_and_the_next_is_not(
    chat: Client, provider: ScriptedProvider, stream: bool
) -> None:
    provider.enqueue(using(150))
    mine = of_its_own()
    await ask(chat, "100;w=31536000;u=cents;s=run", stream=stream, **mine)
    with pytest.raises(openai.RateLimitError) as caught:
        await ask(chat, "100;w=31536000;u=cents;s=run", stream=stream, **mine)
    headers = caught.value.response.headers
    assert told(headers)["remaining"] == "0"
    # Half of the quota is owed, and half a year's refill pays for it.
    half_a_year = 31_536_000 // 2
    assert half_a_year - 60 < int(headers["retry-after"]) <= half_a_year + 1


async def test_a_named_policy_by_the_alias_of_the_header(chat: Client, provider: ScriptedProvider) -> None:
    provider.enqueue(using(1))
    headers = {"Helicone-Rate-Limit-Policy": "basic-1", "Helicone-User-Id": uuid4().hex}
    create = chat.sdk.chat.completions.create
    await chat.call(create, **ASK, extra_headers=headers)
    with pytest.raises(openai.RateLimitError, match=r"1 request \(1;w=60;s=user\)"):
        await chat.call(create, **ASK, extra_headers=headers)


async def test_the_sdk_waits_as_long_as_it_is_told_and_is_let_in(
    limited: Running, connect: Connect, provider: ScriptedProvider, flavour: Flavour
) -> None:
    """A hundred tokens a second, and thirty are owed: one retry, after a third of a second, is enough."""
    provider.enqueue(using(6030), using(1))
    chat = connect("openai", f"{limited.url}/v1", flavour, max_retries=1)
    mine = of_its_own()
    await ask(chat, "6000;w=60;u=tokens;s=run", **mine)
    headers = await ask(chat, "6000;w=60;u=tokens;s=run", **mine)
    assert told(headers)["limit"] == "6000"
