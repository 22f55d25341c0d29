"""``helicone-gw demo``: a few example requests to the running gateway, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from helicone_gw.commands.loading import Loaded, locate
from helicone_gw.routing import DEMO_PROVIDER
from helicone_gw.sockets import url_at

SESSION = {"helicone-user-id": "demo-user", "helicone-session-id": "demo", "helicone-session-name": "Demo"}


@dataclass(frozen=True, slots=True)
class Example:
    """One request of the demonstration."""

    title: str
    path: str
    body: dict[str, Any]
    headers: dict[str, str]


EXAMPLES = (
    Example(
        "chat completion",
        "/v1/chat/completions",
        {"model": "demo", "messages": [{"role": "user", "content": "What is a gateway?"}]},
        {"helicone-session-path": "/question", "helicone-property-feature": "demo"},
    ),
    Example(
        "chat completion, streamed",
        "/v1/chat/completions",
        {"model": "demo", "messages": [{"role": "user", "content": "And once more, slowly."}], "stream": True},
        {"helicone-session-path": "/question/again", "helicone-property-feature": "demo"},
    ),
    Example(
        "Anthropic message",
        "/v1/messages",
        {"model": "demo", "max_tokens": 256, "messages": [{"role": "user", "content": "Hello from another SDK."}]},
        {"helicone-session-path": "/hello", "anthropic-version": "2023-06-01"},
    ),
    Example(
        "embedding",
        "/v1/embeddings",
        {"model": "demo", "input": "gateway"},
        {"helicone-session-path": "/embedding"},
    ),
)


def demo(
    context: typer.Context,
    url: Annotated[str | None, typer.Option(help="Base URL of the gateway; default: as configured.")] = None,
    key: Annotated[
        str | None, typer.Option(envvar="HELICONE_GW_KEY", help="Gateway key, where one is required.")
    ] = None,
) -> None:
    """Send a few example requests to the running gateway and print what it says of them.

    They go to the built-in demo provider, so they need no account; the configuration must name it (`demo: {}`).
    """
    loaded: Loaded = context.obj
    server = loaded.config.server
    base = (url or url_at(server.host, server.port, tls=server.tls is not None)).rstrip("/")
    if DEMO_PROVIDER not in loaded.config.providers and url is None:
        typer.echo(f"{loaded.path} does not name the demo provider; add `demo: {{}}` under providers.", err=True)
        raise typer.Exit(1)
    table = Table("request", "status", "model", "cost, USD", "overhead, ms", "id", box=None, header_style="bold")
    failed = False
    # The machine's own proxies have no business between this and a gateway next to it.
    with httpx.Client(timeout=60, trust_env=False) as client:
        for example in EXAMPLES:
            headers = SESSION | example.headers | ({"helicone-auth": f"Bearer {key}"} if key else {})
            try:
                reply = client.post(base + example.path, json=example.body, headers=headers)
            except (httpx.HTTPError, httpx.InvalidURL) as problem:
                typer.echo(f"No gateway answers at {base} ({type(problem).__name__}). Start one: helicone-gw", err=True)
                raise typer.Exit(1) from None
            failed = failed or reply.status_code != httpx.codes.OK
            row = [reply.headers.get(f"helicone-{name}", "-") for name in ("model", "cost", "overhead-ms", "id")]
            table.add_row(example.title, str(reply.status_code), *row)
    Console().print(table)
    if any(spec.plugin == "logging" for spec in loaded.config.plugins):
        typer.echo(f"\nLogged (a stream's cost is known at its end): helicone-gw{_config_option(loaded)} logs")
    if failed:
        raise typer.Exit(1)


def _config_option(loaded: Loaded) -> str:
    return "" if locate(None) == loaded.path else f" --config {loaded.path}"
