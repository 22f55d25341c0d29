"""What lets one exchange serve several clients: holding, repeating, and streams that are watched on request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from onion import exchange, gateway, handle, plugin

from helicone_gw import Exchange, Plugin, PluginConfig, hookimpl
from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat

NOTICED = 1.0
"""Virtual seconds after which a departure has been noticed."""


class Holder(Plugin):
    """Holds every exchange, and keeps what lets go of it."""

    releases: list[Callable[[], None]]

    def __init__(self, config: PluginConfig, name: str) -> None:
        super().__init__(config, name)
        self.releases = []

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        self.releases.append(exchange.hold())


def holder_of(running: Any) -> Holder:
    held = running.gateway.plugins[0]
    assert isinstance(held, Holder)
    return held


@pytest.mark.virtual_time
@pytest.mark.parametrize("stream", [False, True])
async def test_a_held_exchange_outlives_its_client(gateway: GatewayFactory, stream: bool) -> None:
    answered = asyncio.Event()

    async def answer(request: Any) -> Any:
        await answered.wait()
        return openai_chat.stream("Hello!") if stream else openai_chat.reply("Hello!")

    async with gateway(["holder"], provider=ScriptedProvider(default=answer), classes={"holder": Holder}) as running:
        body = {"model": "gpt-4o-mini", "messages": [], "stream": stream}
        async with running.stream("POST", "/v1/chat/completions", json=body) as live:
            await running.provider.received(1)
            leaving = asyncio.ensure_future(live.leave())
            await asyncio.sleep(NOTICED)
            answered.set()
            await leaving
        ended = running.exchanges[0]
    assert ended.outcome is not None
    assert ended.outcome.kind == "client_disconnected"
    assert ended.usage is not None, "the answer was read to its end"
    assert not running.provider.closed_by_client.is_set()


@pytest.mark.virtual_time
async def test_the_last_to_let_go_of_an_abandoned_exchange_cancels_it(gateway: GatewayFactory) -> None:
    silent = openai_chat.reply().cut("before_head", how="hang")
    async with gateway(["holder"], provider=ScriptedProvider(default=silent), classes={"holder": Holder}) as running:
        async with running.stream("POST", "/v1/chat/completions", json={"model": "gpt-4o-mini"}) as live:
            await running.provider.received(1)
            (release,) = holder_of(running).releases
            second = running.gateway.active
            leaving = asyncio.ensure_future(live.leave())
            await asyncio.sleep(NOTICED)
            assert not leaving.done(), "it goes on without its client"
            release()
            release()
            await leaving
        assert second == 1
        await running.provider.closed_by_client.wait()
        ended = running.exchanges[0]
    assert ended.outcome is not None
    assert ended.outcome.kind == "client_disconnected"


async def test_whoever_lets_go_later_disturbs_nobody(gateway: GatewayFactory) -> None:
    async with gateway(["holder"], classes={"holder": Holder}) as running:
        async with running.stream("POST", "/v1/chat/completions", json={"model": "gpt-4o-mini"}) as live:
            await live.leave()
        for release in holder_of(running).releases:
            release()
        assert (await running.chat()).status == 200


def test_holds_are_counted() -> None:
    one, departures = exchange(), []
    first, second = one.hold(), one.hold()
    one._client_left(lambda: departures.append("left"))
    first()
    first()
    assert not departures
    second()
    assert departures == ["left"]
    one._client_left(lambda: departures.append("again"))
    assert departures == ["left", "again"], "nobody holds it"


async def test_an_exchange_is_repeated_for_nobody_through_every_layer(gateway: GatewayFactory) -> None:
    marks: list[tuple[str, Any]] = []

    class Observer(Plugin):
        @hookimpl
        async def pre_request(self, exchange: Exchange) -> None:
            marks.append((exchange.id, exchange.annotations.get("observer.repeated")))

    async with gateway(["observer"], classes={"observer": Observer}) as running:
        asked = await running.chat(headers={"helicone-request-id": "6f1c1a3e-2f5a-4c1e-9a55-0a53c1a3a001"})
        first = running.exchanges[0]
        task = running.gateway.repeat(first, lambda copy: copy.annotate("observer.repeated", first.id))
        await task
        second = running.exchanges[1]
    assert asked.status == 200
    assert second.outcome is not None
    assert (second.outcome.kind, second.outcome.status) == ("ok", 200)
    assert second.request == first.request
    assert marks == [(first.id, None), (second.id, first.id)]
    assert second.request_id == second.id, "the client's own id is the first one's"
    assert [request.body for request in running.provider.requests] == [running.provider.requests[0].body] * 2
    assert running.gateway.active == 0


async def test_what_streamed_through_cannot_be_repeated(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        await running.request("POST", "/v1/files", content=b"bytes", headers={"content-type": "text/csv"})
        with pytest.raises(RuntimeError, match="cannot be sent again"):
            running.gateway.repeat(running.exchanges[0], lambda copy: None)


@pytest.mark.parametrize("asks", [True, False])
async def test_a_stream_is_watched_where_the_plugin_asked_for_it(asks: bool) -> None:
    seen: list[bytes] = []
    watcher = plugin(
        "watcher",
        pre_request=lambda exchange: exchange.watch_stream() if asks else None,
        on_stream_chunk=lambda exchange, chunk: seen.append(chunk.kind),
    )
    type(watcher).chunks_on_request = True
    always = plugin("always", on_stream_chunk=lambda exchange, chunk: None)
    sink = await handle(gateway([always, watcher], ScriptedProvider(openai_chat.stream("Hi"))), exchange(stream=True))
    assert sink.finished == 1
    assert bool(seen) is asks
    assert seen[-1:] == (["end"] if asks else [])


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("stream", [True, False])
async def test_so_is_an_answer_read(asks: bool, stream: bool) -> None:
    seen: list[bool] = []
    reader = plugin(
        "reader",
        pre_request=lambda exchange: exchange.read_answer() if asks else None,
        on_response=lambda exchange, response: seen.append(response.streamed),
    )
    type(reader).answers_on_request = True
    answer = openai_chat.stream("Hi") if stream else openai_chat.reply("Hi").gzipped()
    sink = await handle(gateway([reader], ScriptedProvider(answer)), exchange(stream=stream))
    assert seen == ([stream] if asks else [])
    # What nobody reads passes in the coding in which it came.
    assert (sink.headers.get("content-encoding") == "gzip") is (not stream and not asks)


async def test_an_early_end_is_told(gateway: GatewayFactory) -> None:
    class Ender(Plugin):
        @hookimpl
        def on_stream_chunk(self, exchange: Exchange, chunk: Any) -> None:
            exchange.end_stream("length")

    async with gateway(["ender"], classes={"ender": Ender}) as running:
        await running.chat()
        await running.chat(stream=True)
    assert [one.ended_early for one in running.exchanges] == [False, True]
