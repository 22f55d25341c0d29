"""Whatever was sent on a connection before, a request means what it means on a connection of its own.

Heads that come again are not read again, and what followed from them is kept: random rows of requests, each a little
unlike the one before, go over one connection to one gateway and over a connection each to its twin.
"""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest

from helicone_gw import Exchange, Gateway, GatewayKey, Plugin, hookimpl
from helicone_gw.engines.http1.repeating import RepeatedHead
from helicone_gw.testing import GatewayFactory, RunningGateway
from tests.core.engines.http1.serving import Client, Serving, serving, until

SEEDS = 10
ROUNDS = 25
CHAT = b"/v1/chat/completions"
TARGETS = [CHAT] * 6 + [
    b"/v1/messages",
    b"/openai/v1/chat/completions",
    b"http://localhost/v1/chat/completions",
    b"/no",
]
FIELDS = [
    (b"Authorization", b"Bearer hk-one"),
    (b"Helicone-Cache-Enabled", b"true"),
    (b"Authorization", b"Bearer hk-two"),
    (b"Authorization", b"Bearer sk-own"),
    (b"Helicone-Auth", b"Bearer hk-one"),
    (b"Content-Type", b"application/json"),
    (b"Accept-Encoding", b"gzip"),
    (b"Accept-Encoding", b"br"),
    (b"Helicone-User-Id", b"ann"),
    (b"Helicone-User-Id", b"bob"),
    (b"Helicone-Property-App", b"shop"),
    (b"helicone-property-app", b"Shop"),
    (b"Helicone-Session-Id", b"one"),
    (b"Helicone-Cache-Seed", b"other"),
    (b"Helicone-Model-Override", b"gpt-4o"),
    (b"anthropic-version", b"2023-06-01"),
    (b"Connection", b"x-mine"),
    (b"Connection", b"close"),
    (b"X-Mine", b"1"),
    (b"Expect", b"100-continue"),
    (b"Upgrade", b"h2c"),
]
LENGTHS = [b"%d"] * 9 + [b"0%d", b"%d ", b"+%d"]
ANY = re.compile(rb'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|"created":[0-9]+')
UNLIKE = {b"helicone-overhead-ms", b"age", b"helicone-cache-latency"}


@dataclass
class Sent:
    """A request; ``method``, ``target`` and ``fields`` are its head but for the framing."""

    method: bytes = b"POST"
    target: bytes = CHAT
    fields: list[tuple[bytes, bytes]] = field(default_factory=lambda: [(b"Host", b"localhost"), *FIELDS[:2]])
    length: bytes = b"%d"
    chunked: bool = False
    body: bytes = b""

    def varied(self, chance: random.Random) -> Sent:
        """Another request after this one: as a rule with the same head, else with a bit of it changed."""
        fields = list(self.fields)
        made = replace(self, fields=fields, body=_body(chance), method=b"POST", length=b"%d", chunked=False)
        place = chance.randrange(len(fields))
        match chance.randrange(30):
            case 0:
                made.target = chance.choice(TARGETS)
            case 1:
                made.method = chance.choice([b"GET", b"HEAD", b"OPTIONS", b"PUT"])
            case 2:
                fields[place] = (fields[place][0].swapcase(), fields[place][1])
            case 3:
                chance.shuffle(fields)
            case 4 | 5:
                fields.insert(place, chance.choice(FIELDS))
            case 6:
                name = fields[place][0].lower()
                fields[place] = chance.choice([each for each in FIELDS if each[0].lower() == name] or [fields[place]])
            case 7 if len(fields) > 3:
                del fields[place]
            case 8:
                made.length = chance.choice(LENGTHS)
            case 9:
                made.chunked = True
        return made

    def __bytes__(self) -> bytes:
        framing, body = (b"Content-Length", self.length % len(self.body)), self.body
        if self.chunked:
            framing, body = (b"Transfer-Encoding", b"chunked"), b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        lines = b"".join(b"%b: %b\r\n" % each for each in (*self.fields[:2], framing, *self.fields[2:]))
        return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (self.method, self.target, lines, body)


def _body(chance: random.Random) -> bytes:
    text = chance.choice(["Hi", "é" * chance.randint(1, 300)])
    model = chance.choice(["gpt-4o-mini", "gpt-4o-mini", "claude-sonnet-4-5"])
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
    match chance.randrange(8):
        case 0:
            body["metadata"] = {"Helicone-User-Id": "metadata"}
        case 1:
            body["stream"] = True
        case 2:
            return b"{"
    return msgspec.json.encode(body)


class Doorman(Plugin):
    """Knows ``keys``; there are some as long as it has any."""

    def __init__(self, config: Any, name: str) -> None:
        super().__init__(config, name)
        self.keys = {"hk-one": GatewayKey("hk-one", "one", "ann", "acme")}

    @property
    def configured(self) -> bool:
        return bool(self.keys)

    async def lookup(self, secret: str) -> GatewayKey | None:
        return self.keys.get(secret)

    async def knows(self, secret: str) -> bool:
        return secret.startswith("hk-")

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        gateway.keys.register(self)


@dataclass
class Twin:
    """A gateway behind our own server."""

    running: RunningGateway
    served: Serving
    doorman: Doorman

    async def news(self) -> tuple[list[object], list[object]]:
        """What is new since the last time: what the provider got, and what ended."""
        await until(lambda: not self.served.lane.cycles)
        asked, ended = self.running.provider.requests, self.running.exchanges
        news: tuple[list[object], list[object]] = (
            [(each.method, each.target, each.headers.raw, each.body) for each in asked],
            [_facts(each) for each in ended],
        )
        asked.clear()
        ended.clear()
        return news


def _facts(exchange: Exchange) -> tuple[object, ...]:
    request, key = exchange.original, exchange.key
    whose = (exchange.organization, None if key is None else key.id, exchange.credential, exchange.secrets)
    said = (request.helicone, list(request.helicone.properties.items()), request.headers.raw, request.user)
    what = (request.method, request.path, request.query, request.dialect, request.model, request.stream, request.body)
    became = (exchange.outcome, exchange.usage, exchange.client)
    return whose, said, what, became


@asynccontextmanager
async def twin(gateway: GatewayFactory) -> AsyncIterator[Twin]:
    async with gateway(["cost", "doorman", "cache", "router"], classes={"doorman": Doorman}) as running:
        (doorman,) = (each for each in running.gateway.plugins if isinstance(each, Doorman))
        async with serving(running.app) as served:
            yield Twin(running, served, doorman)


async def answer(client: Client, sent: Sent) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """The answer but for what is of the moment."""
    got = await client.answer(head_only=sent.method == b"HEAD")
    fields = sorted((name, ANY.sub(b"", value)) for name, value in got.fields.items() if name not in UNLIKE)
    return got.status, fields, ANY.sub(b"", got.body)


async def test_no_request_depends_on_what_its_connection_carried_before(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = 0
    read_again = RepeatedHead.repeated

    def counting(head: RepeatedHead, data: bytes) -> Any:
        nonlocal known
        found = read_again(head, data)
        known += found is not None
        return found

    monkeypatch.setattr(RepeatedHead, "repeated", counting)
    async with twin(gateway) as one, twin(gateway) as other:
        for seed in range(SEEDS):
            chance = random.Random(seed)
            sent = Sent()
            async with AsyncExitStack() as stack:
                client: Client | None = None
                for _ in range(ROUNDS):
                    if not chance.randrange(8):
                        _change(one.doorman.keys, chance)
                        other.doorman.keys = dict(one.doorman.keys)
                    sent = sent.varied(chance)
                    if client is None:
                        client = await stack.enter_async_context(one.served.client())
                    client.writer.write(bytes(sent))
                    here = await answer(client, sent)
                    async with other.served.client() as alone:
                        alone.writer.write(bytes(sent))
                        there = await answer(alone, sent)
                    assert here == there, (seed, bytes(sent))
                    assert await one.news() == await other.news(), (seed, bytes(sent))
                    if (b"connection", b"close") in here[1]:
                        client = None
    assert known > SEEDS * ROUNDS / 5


def _change(keys: dict[str, GatewayKey], chance: random.Random) -> None:
    """Keys come, go, and become somebody else's; without any the gateway is open."""
    secret = chance.choice(["hk-one", "hk-two"])
    if keys.pop(secret, None) is None:
        keys[secret] = GatewayKey(secret, secret, "ann", chance.choice(["acme", "other"]))
