"""Fixtures of the client tests: the program, started once per run, a scripted provider per test, and SDK clients."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from helicone_gw.testing import ScriptedProvider
from tests.clients.gateways import ALICE, CI, Client, Connect, Flavour, Ports, Running, Ways, configuration, reserved
from tests.program import gateway

SDKS: dict[tuple[str, Flavour], tuple[Callable[..., Any], Callable[..., Any]]] = {
    ("openai", "sync"): (openai.OpenAI, openai.DefaultHttpxClient),
    ("openai", "async"): (openai.AsyncOpenAI, openai.DefaultAsyncHttpxClient),
    ("anthropic", "sync"): (anthropic.Anthropic, anthropic.DefaultHttpxClient),
    ("anthropic", "async"): (anthropic.AsyncAnthropic, anthropic.DefaultAsyncHttpxClient),
}
"""Each SDK with its own HTTP client."""

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody. A context of the SDK's own reads all the system's certificates first, which takes 50 ms per client."""


ENGINES = ("hypercorn", "uvicorn", "granian")
TRANSPORTS = ("fast", "aiohttp", "httpx")
DEFAULT: Ways = ("hypercorn", "fast")
EVERY: list[Ways] = [(engine, transport) for engine in ENGINES for transport in TRANSPORTS]
EACH: list[Ways] = [ways for ways in EVERY if ways[0] == DEFAULT[0] or ways[1] == DEFAULT[1]]
"""Every engine over the default transport, and every transport over the default engine."""

OVER_EACH = {"test_openai_chat", "test_anthropic"}
"""The modules that run over `EACH`. The others run over the default alone; and everything over everything in the full
round (``HELICONE_GW_FULL``)."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose which servers and clients a module's tests run over."""
    if "ways" not in metafunc.fixturenames:
        return
    chosen = [DEFAULT]
    if os.environ.get("HELICONE_GW_FULL"):
        chosen = EVERY
    elif metafunc.module.__name__.rpartition(".")[2] in OVER_EACH:
        chosen = EACH
    metafunc.parametrize("ways", chosen, indirect=True, scope="session", ids="-".join)


@pytest.fixture(scope="session")
def ways(request: pytest.FixtureRequest) -> Ways:
    """The engine that serves the clients, and the transport that calls the provider."""
    chosen: Ways = request.param
    return chosen


@pytest.fixture(scope="session")
def ports() -> Iterator[Ports]:
    with ExitStack() as stack:
        provider, realtime, nowhere = (stack.enter_context(reserved()) for _ in range(3))
        yield Ports(provider, realtime, nowhere)


@pytest.fixture(scope="session")
def open_gateway(ports: Ports, ways: Ways, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that asks nobody for a key."""
    yield from _run(ports, ways, tmp_path_factory.mktemp("open"))


@pytest.fixture(scope="session")
def keyed_gateway(ports: Ports, ways: Ways, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway with the keys of alice and ci."""
    limited = {"key": CI, "models": ["gpt-4o-mini", "claude-*"], "providers": ["openai", "anthropic"]}
    keys = {"alice": ALICE, "ci": {**limited, "paths": ["/v1/chat/completions", "/v1/messages"]}}
    yield from _run(ports, ways, tmp_path_factory.mktemp("keyed"), {"security": {"keys": keys}})


def _run(ports: Ports, ways: Ways, directory: Path, *plugins: Any) -> Iterator[Running]:
    with gateway(configuration(ports, ways, directory, *plugins), directory) as url:
        yield Running(url, directory)


@pytest.fixture
async def provider(ports: Ports) -> AsyncIterator[ScriptedProvider]:
    """The provider behind the gateways. A test fails that leaves answers over, or causes calls it did not script."""
    scripted = ScriptedProvider()
    async with scripted.serve(port=ports.provider):
        yield scripted
    assert scripted.remaining == 0, "answers that no request came for"
    assert not scripted.unexpected, "requests beyond the script"


@pytest.fixture(params=["async", "sync"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Both flavours of an SDK."""
    chosen: Flavour = request.param
    return chosen


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes SDK clients, without retries of their own unless asked for, and closes them."""
    clients: list[Client] = []

    def connected(sdk: str, base_url: str, flavour: Flavour = "async", **options: Any) -> Client:
        if not {"api_key", "auth_token"} & options.keys():
            options["api_key"] = "sk-of-the-client"
        make, http_client = SDKS[sdk, flavour]
        made = make(base_url=base_url, http_client=http_client(verify=NO_TLS), **{"max_retries": 0, **options})
        clients.append(Client(made, flavour))
        return clients[-1]

    yield connected
    for client in clients:
        await client.close()


@pytest.fixture
def chat(connect: Connect, open_gateway: Running, flavour: Flavour) -> Client:
    """The openai SDK at the open gateway, in both flavours."""
    return connect("openai", f"{open_gateway.url}/v1", flavour)


@pytest.fixture
def claude(connect: Connect, open_gateway: Running, flavour: Flavour) -> Client:
    """The anthropic SDK at the open gateway, in both flavours."""
    return connect("anthropic", open_gateway.url, flavour)
