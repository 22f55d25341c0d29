"""What the semantics tests share: plugins built from functions, a sink that remembers, and one-exchange runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from helicone_gw import (
    Exchange,
    Gateway,
    GatewayConfig,
    Headers,
    Plugin,
    PluginConfig,
    Request,
    Route,
    Target,
    hookimpl,
)
from helicone_gw.chain import MAY_ANSWER_AT_ONCE, MAY_BE_PLAIN
from helicone_gw.clock import Clock
from helicone_gw.config import ProviderConfig, Secret
from helicone_gw.headers import RawHeaders
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw.model import Upstream
from helicone_gw.testing import ScriptedProvider

A, B, C = Target("openai", "model-a"), Target("groq", "model-b"), Target("mistral", "model-c")


def plugin(
    name: str,
    *,
    on_failure: str = "closed",
    tick: float | None = None,
    plain: bool = False,
    **hooks: Callable[..., Any],
) -> Plugin:
    """A plugin whose hooks are these functions, each taking the hook's own arguments.

    ``plain``: hooks that may be plain functions are.
    """
    body: dict[str, Any] = {"on_failure": on_failure, "tick": tick}
    for hook, function in hooks.items():
        body[hook] = hookimpl(_method(hook, function, plain and hook in MAY_BE_PLAIN | MAY_ANSWER_AT_ONCE))
    return type("TestPlugin", (Plugin,), body)(PluginConfig(), name)


def _method(hook: str, function: Callable[..., Any], plain: bool) -> Callable[..., Any]:
    names = {"on_error": "error", "on_response": "response", "on_stream_chunk": "chunk", "on_attempt": "attempt"}
    second = names.get(hook)
    arguments = "self, exchange" + (f", {second}" if second else "")
    call = "function(exchange" + (f", {second}" if second else "") + ")"
    if plain or hook in ("on_stream_chunk", "before_stream", "before_end"):
        source = f"def {hook}({arguments}): return {call}"
    else:
        source = f"async def {hook}({arguments}):\n r = {call}\n return (await r) if inspect.isawaitable(r) else r"
    space: dict[str, Any] = {"function": function, "inspect": inspect}
    exec(source, space)
    return space[hook]


@dataclass
class ListSink:
    """A client that keeps what it gets. ``on_send`` is called with every piece, and may misbehave."""

    on_send: Callable[[bytes], Any] | None = None
    disconnected: bool = False
    status: int | None = None
    headers: Headers = field(default_factory=Headers)
    pieces: list[bytes] = field(default_factory=list)
    finished: int = 0
    aborted: int = 0

    async def start(self, status: int, headers: RawHeaders) -> None:
        assert self.status is None, "started twice"
        self.status, self.headers = status, Headers(headers)

    async def send(self, data: bytes) -> None:
        assert self.status is not None
        assert not self.finished
        assert not self.aborted
        if data:
            self.pieces.append(data)
            if self.on_send is not None:
                result = self.on_send(data)
                if inspect.isawaitable(result):
                    await result

    async def finish(self, last: bytes = b"") -> None:
        await self.send(last)
        self.finished += 1

    async def abort(self) -> None:
        self.aborted += 1

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


def config(**limits: Any) -> GatewayConfig:
    key = ProviderConfig(api_key=Secret("sk-upstream"))
    return GatewayConfig.model_validate(
        {
            "database": {"url": "sqlite://"},
            "limits": limits,
            "providers": dict.fromkeys(("openai", "groq", "mistral", "anthropic", "gemini"), key),
        }
    )


def gateway(
    plugins: Sequence[Plugin],
    upstream: ScriptedProvider | Upstream,
    *,
    clock: Clock | None = None,
    **limits: Any,
) -> Gateway:
    """A gateway of these plugins that talks to a scripted provider."""
    call = upstream.upstream if isinstance(upstream, ScriptedProvider) else upstream
    return Gateway(config(**limits), plugins, upstream=call, clock=clock)


def exchange(
    *, stream: bool = False, headers: Mapping[str, str] | None = None, model: str = "model-a", **changes: Any
) -> Exchange:
    """A chat request, not yet handled."""
    body = b'{"model": "%s", "stream": %s, "messages": [{"role": "user", "content": "Hi"}]}' % (
        model.encode(),
        b"true" if stream else b"false",
    )
    request = Request(
        method="POST",
        path="/v1/chat/completions",
        query="",
        headers=Headers({"content-type": "application/json"}),
        body=body,
        dialect="openai",
        operation="chat",
        helicone=parse_helicone_headers(Headers(headers or {})),
        model=model,
        stream=stream,
    )
    return Exchange("00000000-0000-4000-8000-000000000001", request.replace(**changes), 0.0)


def router(*targets: Target) -> Plugin:
    """A plugin that routes everything to these targets."""
    return plugin("router", route_model=lambda exchange: Route(targets))


async def handle(gateway: Gateway, one: Exchange, sink: ListSink | None = None) -> ListSink:
    """Run one exchange to its end."""
    sink = sink or ListSink()
    await gateway.pipeline.handle(one, sink)
    return sink
