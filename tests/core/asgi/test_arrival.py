"""What is remembered of a head that a client sends again: the reading of it, and no decision about who may call."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import GatewayKey
from helicone_gw.app import App
from helicone_gw.asgi.arrival import Arrival
from helicone_gw.scope_extensions import HEAD, LENGTH, MEMORY
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw.testing.client import http_scope
from tests.core.asgi import conftest

BODY = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "%b"}]}'


class Client:
    """Says the same head again and again on one connection."""

    def __init__(self, running: RunningGateway, **headers: str) -> None:
        self.app = App(running.gateway)
        self.memory: dict[object, Any] = {}
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    async def chat(self, text: bytes = b"Hi", *, path: str = "/v1/chat/completions", body: bytes = BODY) -> int:
        body = body % text
        fields = {"content-type": "application/json", **self.headers, "content-length": str(len(body))}
        scope = http_scope("POST", path, fields)
        head = "".join(f"\r\n{name.title()}: {value}" for name, value in fields.items()).encode()
        scope["extensions"] = {MEMORY: self.memory, LENGTH: len(body), HEAD: head + b"\r\n\r\n"}
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return int(sent[0]["status"])


async def test_one_reading_serves_every_request(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        client = Client(running, authorization="Bearer sk-own", helicone_property_app="shop")
        assert [await client.chat(text) for text in (b"one", b"two", b"and three")] == [200, 200, 200]
        (arrival,) = client.memory.values()
        assert isinstance(arrival, Arrival)
        first, *others = running.exchanges
        assert all(each.request.headers is first.request.headers for each in others)
        assert {each.id for each in running.exchanges} == {each.id for each in {first, *others}}
        assert len({each.id for each in running.exchanges}) == 3
        assert [each.request.helicone.properties["app"] for each in running.exchanges] == ["shop"] * 3
        assert [each.request.body for each in running.exchanges] == [
            BODY % text for text in (b"one", b"two", b"and three")
        ]
        assert "content-length" not in first.request.headers


async def test_properties_keep_their_spelling_whatever_the_body_says_of_others(gateway: GatewayFactory) -> None:
    with_metadata = BODY.replace(b"{", b'{"metadata": {"Helicone-User-Id": "ann"}, ', 1)
    async with gateway() as running:
        client = Client(running, authorization="Bearer sk-own", helicone_property_app="shop")
        for body in (BODY, with_metadata, with_metadata, BODY):
            assert await client.chat(body=body) == 200
        assert [list(each.request.helicone.properties) for each in running.exchanges] == [["App"]] * 4
        assert [each.request.helicone.user_id for each in running.exchanges] == [None, "ann", "ann", None]


async def test_a_key_is_looked_up_every_time(
    gateway: GatewayFactory, keyed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"hk-all": GatewayKey("1", "all", "ann", "acme")}
    monkeypatch.setattr(conftest, "KEYS", keys)
    async with gateway(**keyed) as running:
        client = Client(running, authorization="Bearer hk-all")
        assert await client.chat() == 200
        assert await client.chat() == 200
        keys["hk-all"] = GatewayKey("1", "all", "ann", "other")
        assert await client.chat() == 200
        assert [each.organization for each in running.exchanges] == ["acme", "acme", "other"]
        assert all(each.credential is None for each in running.exchanges)
        assert all(each.secrets == ("hk-all",) for each in running.exchanges)
        del keys["hk-all"]
        assert await client.chat() == 401


async def test_an_application_after_a_reload_reads_for_itself(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        client = Client(running, authorization="Bearer sk-own")
        assert await client.chat() == 200
        (before,) = client.memory.values()
        client.app = App(running.gateway)
        assert await client.chat() == 200
        assert list(client.memory) == [client.app]
        assert client.memory[client.app] is not before


async def test_a_path_that_nobody_has_is_not_remembered(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        client = Client(running)
        assert await client.chat(path="/nothing/of/the/kind") == 404
        assert client.memory == {}


async def test_a_page_of_another_site_is_refused_again_and_again(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        client = Client(running, origin="https://elsewhere.example")
        assert [await client.chat() for _ in range(3)] == [403, 403, 403]
