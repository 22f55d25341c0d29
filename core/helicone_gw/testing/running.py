"""A gateway that runs in memory: the real configuration, plugins, application and pipeline, and no socket anywhere."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from helicone_gw import registry
from helicone_gw.app import App
from helicone_gw.clock import Clock
from helicone_gw.config import GatewayConfig, load_config
from helicone_gw.errors import GatewayError
from helicone_gw.exchange import Exchange
from helicone_gw.gateway import Gateway
from helicone_gw.headers import Headers
from helicone_gw.model import Target, UpstreamRequest
from helicone_gw.pipeline import Pipeline, Sink
from helicone_gw.pipeline.services import MakeAttempt
from helicone_gw.plugin import Plugin
from helicone_gw.testing.answers import usual_answer
from helicone_gw.testing.client import LiveReply, Reply, http_scope
from helicone_gw.testing.loop import VirtualTimeLoop
from helicone_gw.testing.provider import ScriptedProvider
from helicone_gw.upstream.builtin import built_ins

PROVIDER_KEYS = {name: f"sk-of-{name}-in-the-test-kit" for name in ("openai", "anthropic", "gemini")}
"""The providers that are configured if a test says nothing else, each with the gateway's key."""

CHAT_MODEL = "gpt-4o-mini"
MESSAGE_MODEL = "claude-sonnet-4-5"


class RunningGateway:
    """A started gateway and a client of it.

    ``provider`` answers every call to a model, ``http`` every call that plugins make with ``gateway.http``.
    ``exchanges`` are those that ended, in that order.
    """

    def __init__(self, gateway: Gateway, app: App, provider: ScriptedProvider, http: ScriptedProvider) -> None:
        self.gateway = gateway
        self.app = app
        self.provider = provider
        self.http = http
        self.exchanges: list[Exchange] = []
        # Seen from around the pipeline and not from a layer of it: the onion is exactly the one that was configured.
        gateway.pipeline = _Recorded(gateway.pipeline, self.exchanges)

    def stream(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> LiveReply:
        """A request whose answer is to be had piece by piece: ``async with running.stream(...) as answer``.

        ``path`` may have a query. ``json`` is any value, ``content`` a body as it is; give one of them or none.
        """
        fields = {name.lower(): value for name, value in (headers or {}).items()}
        if json is not None:
            assert content is None, "give json or content, not both"
            content = msgspec.json.encode(json)
            fields.setdefault("content-type", "application/json")
        if isinstance(content, bytes):
            fields.setdefault("content-length", str(len(content)))
        elif content is not None:
            fields.setdefault("transfer-encoding", "chunked")
        body = b"" if content is None else content
        return LiveReply(self.app, http_scope(method, path, fields), body)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """A request and its whole answer; the gateway is then done with it, ``on_finish`` included.

        Raises what the application raised, and `helicone_gw.testing.NoAnswer` when it gave no answer at all.
        """
        async with self.stream(method, path, json=json, content=content, headers=headers) as live:
            await live.head()
            body = await live.read()
        return Reply(live.status, live.headers, body, live.aborted)

    async def chat(
        self,
        text: str = "Hello!",
        *,
        stream: bool = False,
        model: str = CHAT_MODEL,
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> Reply:
        """An OpenAI chat completion; ``fields`` are further fields of the request's body."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        if stream:
            body["stream"] = True
        return await self.request("POST", "/v1/chat/completions", json=body, headers=headers)

    async def message(
        self,
        text: str = "Hello!",
        *,
        stream: bool = False,
        model: str = MESSAGE_MODEL,
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> Reply:
        """An Anthropic message; ``fields`` are further fields of the request's body."""
        body = {"model": model, "max_tokens": 1024, "messages": [{"role": "user", "content": text}], **fields}
        if stream:
            body["stream"] = True
        version = {"anthropic-version": "2023-06-01"}
        return await self.request("POST", "/v1/messages", json=body, headers={**version, **(headers or {})})

    @property
    def faults(self) -> dict[tuple[str, str], int]:
        """How often which plugin's which hook raised something that is no `GatewayError`."""
        return self.gateway.pipeline.services.caller.faults


class GatewayFactory:
    """Makes gateways that run in memory; the ``gateway`` fixture is one.

    ``directory`` is where the configuration file is written: relative paths in it start there.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @asynccontextmanager
    async def __call__(
        self,
        plugins: Sequence[str | Mapping[str, Any]] = (),
        *,
        provider: ScriptedProvider | None = None,
        http: ScriptedProvider | None = None,
        config: Mapping[str, Any] | None = None,
        classes: Mapping[str, type[Plugin]] | None = None,
        clock: Clock | None = None,
    ) -> AsyncIterator[RunningGateway]:
        """A gateway that runs until the end of the block.

        Args:
            plugins: as in the YAML, outermost first: names, or ``{name: {its configuration}}``.
            provider: answers every call to a model; default: one that answers a short text in every dialect.
            http: answers the calls that plugins make with ``gateway.http``; default: one that refuses them all.
            config: the other sections of the YAML, merged into ``default_config()``.
            classes: plugins that are not installed, by name; all others come from the installed distributions.
            clock: default: the test's own in virtual time, otherwise the machine's.

        Raises `ConfigError`, with file, line and column, for what the real program would refuse as well.
        """
        provider = provider or ScriptedProvider(default=usual_answer)
        http = http or ScriptedProvider()
        gateway = self.build(plugins, provider=provider, http=http, config=config, classes=classes, clock=clock)
        await gateway.start()
        try:
            app = App(gateway)
            app.mount_plugins()
            await app.startup()
            try:
                yield RunningGateway(gateway, app, provider, http)
            finally:
                await app.shutdown()
        finally:
            await gateway.stop()

    def build(
        self,
        plugins: Sequence[str | Mapping[str, Any]],
        *,
        provider: ScriptedProvider,
        http: ScriptedProvider,
        config: Mapping[str, Any] | None = None,
        classes: Mapping[str, type[Plugin]] | None = None,
        clock: Clock | None = None,
    ) -> Gateway:
        """The gateway alone, not started; what it is made of is as above."""
        plugin_class = _finder(classes or {})
        checked = self._load({**_merged(default_config(), config or {}), "plugins": list(plugins)}, plugin_class)
        instances, _ = registry.build(checked, plugin_class)
        gateway = Gateway(checked, instances, upstream=provider.upstream, clock=clock or _loop_clock())
        gateway.http = httpx.AsyncClient(transport=_ScriptedTransport(http), follow_redirects=False)
        return gateway

    def _load(self, sections: Mapping[str, Any], plugin_class: registry.PluginClass) -> GatewayConfig:
        path = self._directory / "gateway.yaml"
        path.write_text(json.dumps(sections, indent=2, ensure_ascii=False), encoding="utf-8")  # JSON is YAML
        known = {known for name, entry in built_ins().providers.items() for known in (name, *entry.aliases)}
        return load_config(path, environ=os.environ, plugin_class=plugin_class, known_providers=known)


def default_config() -> dict[str, Any]:
    """What a gateway of the kit is configured with before a test says anything: a database and three providers.

    Nothing is timed, so that an exchange's annotations are its plugins' alone.
    """
    return {
        "database": {"url": "sqlite://"},
        "pipeline": {"timings": "off"},
        "providers": {name: {"api_key": key} for name, key in PROVIDER_KEYS.items()},
    }


class _Recorded(Pipeline):
    """The gateway's own pipeline, which also says what went through it."""

    def __init__(self, inner: Pipeline, ended: list[Exchange]) -> None:
        super().__init__(inner.services, inner._background)
        self._ended = ended

    async def handle(self, exchange: Exchange, sink: Sink, make: MakeAttempt | None = None) -> None:
        try:
            await super().handle(exchange, sink, make)
        finally:
            self._ended.append(exchange)

    async def refuse(self, exchange: Exchange, error: GatewayError, sink: Sink) -> None:
        try:
            await super().refuse(exchange, error, sink)
        finally:
            self._ended.append(exchange)


class _ScriptedTransport(httpx.AsyncBaseTransport):
    """An httpx transport to a scripted provider."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self._provider = provider

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        call = UpstreamRequest(
            request.method, str(request.url), Headers(request.headers.raw), body, Target(request.url.host, "")
        )
        try:
            answer = await self._provider.upstream(call)
        except GatewayError as problem:
            raise httpx.RemoteProtocolError(problem.message, request=request) from problem
        return httpx.Response(answer.status, headers=list(answer.headers.raw), stream=_Stream(answer))


class _Stream(httpx.AsyncByteStream):
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.body:
                yield piece
        except GatewayError as problem:
            raise httpx.ReadError(problem.message) from problem

    async def aclose(self) -> None:
        await self._answer.close()


def _finder(classes: Mapping[str, type[Plugin]]) -> registry.PluginClass:
    def plugin_class(name: str) -> type[Plugin]:
        if name not in classes:
            return registry.load(name)
        cls = classes[name]
        return registry.check(cls, f"plugin {name!r} ({getattr(cls, '__qualname__', cls)})")

    return plugin_class


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``, mapping by mapping; ``None`` takes a key out."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged


def _loop_clock() -> Clock | None:
    loop = asyncio.get_running_loop()
    return loop.clock if isinstance(loop, VirtualTimeLoop) else None
