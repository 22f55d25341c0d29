"""The gateway of the kit is the real one: its configuration is validated, its plugins run, its answers travel."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import pytest
from quart import Blueprint

from helicone_gw import ConfigError, Exchange, Gateway, Plugin, PluginConfig, hookimpl
from helicone_gw.testing import (
    GatewayFactory,
    RunningGateway,
    ScriptedProvider,
    VirtualClock,
    of_bytes,
    of_json,
)
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat


class GreeterConfig(PluginConfig):
    greeting: str = "hello"


class Greeter(Plugin):
    Config = GreeterConfig
    config: GreeterConfig
    events: list[str]

    def __init__(self, config: PluginConfig, name: str) -> None:
        super().__init__(config, name)
        self.events = []

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.events.append("startup")

    @hookimpl
    async def shutdown(self, gateway: Gateway) -> None:
        self.events.append("shutdown")

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint:
        pages = Blueprint(f"greeter-{self.name}", __name__, url_prefix=f"/{self.name}")

        @pages.before_app_serving
        async def serving() -> None:
            self.events.append("serving")

        @pages.get("/page")
        async def page() -> str:
            return self.config.greeting

        return pages

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        exchange.headers["x-greeting"] = self.config.greeting


CLASSES = {"greeter": Greeter}


def greeter(running: RunningGateway) -> Greeter:
    plugin = running.gateway.plugins[0]
    assert isinstance(plugin, Greeter)
    return plugin


async def test_an_answer_in_each_of_the_dialects(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        chat = await running.chat()
        message = await running.message()
        url = "/v1beta/models/gemini-2.5-flash:generateContent"
        content = await running.request("POST", url, json={"contents": [{"parts": [{"text": "Hi"}]}]})
    text = "Hello! How can I help you today?"
    assert chat.json()["choices"][0]["message"]["content"] == text
    assert message.json()["content"][0]["text"] == text
    assert content.json()["candidates"][0]["content"]["parts"][0]["text"] == text
    assert [request.path for request in running.provider.requests] == ["/v1/chat/completions", "/v1/messages", url]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"model": "gpt-4o-mini", "input": "Hi"}),
        ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "Hi"}),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "Hi"}),
    ],
)
async def test_the_usual_answer_knows_the_other_operations(gateway: GatewayFactory, path: str, body: Any) -> None:
    async with gateway() as running:
        assert (await running.request("POST", path, json=body)).status == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings"])
@pytest.mark.parametrize("member", [rb'"user":"\ud800"', rb'"input":["\udfff"]'])
async def test_the_usual_answer_refuses_a_body_with_a_lone_surrogate_as_providers_do(
    gateway: GatewayFactory, path: str, member: bytes
) -> None:
    """The gateway leaves such a body to its provider; a 500 of its own it must not become."""
    async with gateway() as running:
        for model in (b"gpt-4o", b"claude-sonnet-4-5"):
            body = b'{"model":"%b",%b,"messages":[]}' % (model, member)
            reply = await running.request("POST", path, content=body, headers={"content-type": "application/json"})
            assert reply.status == 400


async def test_what_the_usual_answer_does_not_know_is_not_found(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        reply = await running.request("GET", "/v1/files")
    assert (reply.status, reply.json()["error"]["message"]) == (404, "Invalid URL (GET /v1/files)")


async def test_a_stream_has_events(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        chat = await running.chat(stream=True)
        message = await running.message(stream=True)
    assert chat.headers.get("content-type") == "text/event-stream; charset=utf-8"
    assert "transfer-encoding" not in chat.headers
    assert chat.events()[-1].data == b"[DONE]"
    assert message.events()[0].name == "message_start"
    assert not chat.aborted
    assert not message.aborted


async def test_fields_and_headers_are_the_tests_own(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        headers = {"Helicone-User-Id": "alice"}
        await running.chat("What?", model="gpt-4o", temperature=0.5, headers=headers)
        await running.message("What?", model="claude-haiku-4-5", max_tokens=5, headers=headers)
    first, second = (request.json() for request in running.provider.requests)
    assert (first["model"], first["temperature"], first["messages"][0]["content"]) == ("gpt-4o", 0.5, "What?")
    assert (second["model"], second["max_tokens"]) == ("claude-haiku-4-5", 5)
    assert [exchange.request.user for exchange in running.exchanges] == ["alice", "alice"]


async def test_the_script_answers_in_its_order(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.error(429), anthropic.reply("Bonjour"))
    async with gateway(provider=provider) as running:
        assert (await running.chat()).status == 429
        assert (await running.message()).json()["content"][0]["text"] == "Bonjour"
    assert running.provider is provider


async def test_the_gateways_own_keys_go_upstream(gateway: GatewayFactory) -> None:
    async with gateway(config={"providers": {"openai": {"api_key": "sk-mine"}}}) as running:
        await running.chat()
        await running.message()
    first, second = running.provider.requests
    assert first.headers.get("authorization") == "Bearer sk-mine"
    assert (second.headers.get("x-api-key") or "").startswith("sk-of-anthropic")


async def test_a_section_is_merged_and_none_takes_it_out(gateway: GatewayFactory) -> None:
    config = {"providers": {"anthropic": None, "groq": {"api_key": "sk-groq"}}, "limits": {"max_attempts": 2}}
    async with gateway(config=config) as running:
        assert set(running.gateway.config.providers) == {"openai", "gemini", "groq"}
        assert running.gateway.config.limits.max_attempts == 2


async def test_plugins_run_from_startup_to_shutdown(gateway: GatewayFactory) -> None:
    async with gateway(plugins=[{"greeter": {"greeting": "hi"}}], classes=CLASSES) as running:
        plugin = greeter(running)
        assert plugin.events == ["startup", "serving"]
        assert plugin.gateway is running.gateway
        assert running.gateway.ready
        assert (await running.chat()).headers.get("x-greeting") == "hi"
    assert plugin.events == ["startup", "serving", "shutdown"]


async def test_they_stop_when_the_test_fails(gateway: GatewayFactory) -> None:
    plugins: list[Greeter] = []

    async def test() -> None:
        async with gateway(plugins=["greeter"], classes=CLASSES) as running:
            plugins.append(greeter(running))
            raise LookupError

    with pytest.raises(LookupError):
        await test()
    assert plugins[0].events[-1] == "shutdown"


async def test_other_pages_answer_through_the_same_application(gateway: GatewayFactory) -> None:
    async with gateway(plugins=["greeter", {"greeter": {"name": "second"}}], classes=CLASSES) as running:
        assert (await running.request("GET", "/healthz")).json() == {"status": "ok"}
        assert (await running.request("GET", "/greeter/page")).body == b"hello"
        assert (await running.request("GET", "/second/page?a=b")).body == b"hello"
        assert (await running.request("GET", "/nothing")).status == 404


async def test_installed_plugins_need_no_class(gateway: GatewayFactory) -> None:
    async with gateway(plugins=["cost"]) as running:
        reply = await running.chat()
    assert float(reply.headers.get("helicone-cost") or 0) > 0


@pytest.mark.parametrize(
    ("plugins", "config", "told"),
    [
        ([{"greeter": {"greting": "hi"}}], {}, r"gateway.yaml:\d+:\d+: .*greting.*did you mean 'greeting'"),
        (["greeter", "greeter"], {}, "give this one another name"),
        (["no-such-plugin"], {}, "no plugin 'no-such-plugin' is installed"),
        ([], {"limits": {"deadline": -1}}, r"gateway.yaml:\d+:\d+: limits.deadline"),
        ([], {"providers": {"openai": {"api_key": "${KIT_UNSET_VARIABLE}"}}}, "KIT_UNSET_VARIABLE"),
    ],
)
async def test_a_configuration_that_is_wrong_is_refused_at_its_line(
    gateway: GatewayFactory, plugins: list[Any], config: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        async with gateway(plugins=plugins, config=config, classes=CLASSES):
            pytest.fail("it started")
    assert re.search(told, "\n".join(caught.value.problems)), caught.value.problems


async def test_the_environment_is_the_real_one(gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_GREETING", "hi from outside")
    async with gateway(plugins=[{"greeter": {"greeting": "${KIT_GREETING}"}}], classes=CLASSES) as running:
        assert greeter(running).config.greeting == "hi from outside"


class NotAPlugin:
    pass


async def test_a_class_that_is_no_plugin_is_refused(gateway: GatewayFactory) -> None:
    with pytest.raises(ConfigError, match="is not a subclass of"):
        async with gateway(plugins=["it"], classes={"it": NotAPlugin}):  # type: ignore[dict-item]
            pytest.fail("it started")


async def test_exchanges_are_kept_as_they_ended(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.reply(), openai_chat.error(500), openai_chat.stream().cut(events=3))
    async with gateway(provider=provider) as running:
        await running.chat()
        await running.chat()
        broken = await running.chat(stream=True)
        await running.request(
            "POST", "/v1/chat/completions", content=b"{", headers={"content-type": "application/json"}
        )
        await running.request("GET", "/healthz")
        assert running.gateway.chain.layers == ()
    kinds = [exchange.outcome and exchange.outcome.kind for exchange in running.exchanges]
    assert kinds == ["ok", "upstream_error", "stream_broken", "refused"]
    assert broken.aborted


async def test_a_client_may_leave(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.stream("One two three").cut(events=3, how="hang"))
    body = {"model": "gpt-4o", "stream": True, "messages": []}
    async with gateway(provider=provider) as running:
        async with running.stream("POST", "/v1/chat/completions", json=body) as live:
            await live.head()
            assert live.status == 200
            assert await anext(live)
            assert running.exchanges == []
            await live.leave()
        (exchange,) = running.exchanges
        assert provider.requests[0].closed_by_client.is_set()
    assert exchange.outcome is not None
    assert exchange.outcome.kind == "client_disconnected"


async def test_an_upload_streams_through(gateway: GatewayFactory) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"--x\r\n"
        yield b"--x--\r\n"

    async with gateway(provider=ScriptedProvider(of_json({"id": "file-1"}))) as running:
        headers = {"content-type": "multipart/form-data; boundary=x"}
        reply = await running.request("POST", "/v1/files", content=pieces(), headers=headers)
    assert reply.json() == {"id": "file-1"}
    assert running.provider.requests[0].body == b"--x\r\n--x--\r\n"


async def test_plugins_own_calls_are_scripted_too(gateway: GatewayFactory) -> None:
    http = ScriptedProvider(of_json({"ok": True}), of_bytes(b"abc", "text/plain").cut(bytes=1))
    async with gateway(http=http) as running:
        reply = await running.gateway.http.post("https://hooks.example/alert?a=b", json={"text": "hi"})
        assert (reply.status_code, reply.json()) == (200, {"ok": True})
        with pytest.raises(httpx.ReadError):
            await running.gateway.http.get("https://hooks.example/again")
        assert (await running.gateway.http.get("https://hooks.example/unexpected")).status_code == 500
    assert running.http.requests[0].target == "/alert?a=b"
    assert running.http.requests[0].json() == {"text": "hi"}
    assert running.provider.requests == []


async def test_faults_of_plugins_are_counted(gateway: GatewayFactory) -> None:
    class Faulty(Plugin):
        on_failure = "open"

        @hookimpl
        async def pre_request(self, exchange: Exchange) -> None:
            raise LookupError

    async with gateway(plugins=["faulty"], classes={"faulty": Faulty}) as running:
        assert (await running.chat()).status == 200
    assert running.faults == {("faulty", "pre_request"): 1}


class Waiting(Plugin):
    """Waits ten minutes, by the gateway's clock."""

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        self.clock = gateway.clock

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        await self.clock.sleep(600)


async def test_in_virtual_time_the_gateway_has_the_tests_clock(
    gateway: GatewayFactory, virtual_time: VirtualClock
) -> None:
    answer = openai_chat.stream("One two three").paced(60)
    provider = ScriptedProvider(answer)
    async with gateway(plugins=["logging", "waiting"], classes={"waiting": Waiting}, provider=provider) as running:
        assert running.gateway.clock is virtual_time
        assert not (await running.chat(stream=True)).aborted
    (exchange,) = running.exchanges
    assert exchange.ended_at is not None
    assert exchange.ended_at - exchange.received_at == 600 + 60 * (len(answer.parts) - 1)


async def test_several_gateways_run_beside_each_other(gateway: GatewayFactory) -> None:
    async with (
        gateway(provider=ScriptedProvider(gemini.error(503))) as first,
        gateway(plugins=["greeter"], classes=CLASSES) as second,
    ):
        replies: Iterable[Any] = await asyncio.gather(first.chat(), second.chat())
    assert [reply.status for reply in replies] == [503, 200]
