"""``helicone-gw run``: start the gateway."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import typer

from helicone_gw import server
from helicone_gw.commands.loading import Loaded, build_gateway, load
from helicone_gw.config import GatewayConfig
from helicone_gw.errors import ConfigError
from helicone_gw.gateway import Gateway
from helicone_gw.logs import configure_logging
from helicone_gw.routing import DEMO_PROVIDER
from helicone_gw.shared import making_shared_directory
from helicone_gw.workers import run_workers


def run(context: typer.Context) -> None:
    """Start the gateway and serve until it is asked to stop (Ctrl-C, SIGTERM). SIGHUP reads the configuration anew."""
    loaded: Loaded = context.obj
    config = loaded.config
    configure_logging()
    try:
        with making_shared_directory():
            code = _serve(loaded, config)
    except ConfigError as error:
        typer.echo(f"The gateway cannot start:\n{error}", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(code)


def _serve(loaded: Loaded, config: GatewayConfig) -> int:
    if config.server.workers > 1:
        return run_workers(config, str(loaded.path), work, lambda url: _greet(loaded, url, demo=_has_demo(loaded)))
    return server.run(
        config,
        lambda: build_gateway(load(loaded.path).config),
        lambda gateway, url: _started(loaded, gateway, url),
    )


def work(path: str, port: int) -> None:
    """One worker process of `run_workers`."""
    configure_logging()

    def configured() -> GatewayConfig:
        config = load(Path(path)).config
        return config.model_copy(update={"server": config.server.model_copy(update={"port": port})})

    try:
        code = server.run(configured(), lambda: build_gateway(configured()), lambda gateway, url: None, shared=True)
    except ConfigError as error:
        typer.echo(f"The gateway cannot start:\n{error}", err=True)
        code = 2
    sys.exit(code)


def _has_demo(loaded: Loaded) -> bool:
    return DEMO_PROVIDER in loaded.config.providers


def _started(loaded: Loaded, gateway: Gateway, url: str) -> None:
    _greet(loaded, url, demo=gateway.catalogue.is_configured(DEMO_PROVIDER))
    if not gateway.keys.configured:
        typer.echo("No gateway key is configured: open to programs on this machine only.")


def _greet(loaded: Loaded, url: str, *, demo: bool) -> None:
    layers = " > ".join(spec.name for spec in loaded.config.plugins) or "none"
    typer.echo(f"helicone-gw {version('helicone-gw-core')} on {url}  (configuration: {loaded.path})")
    typer.echo(f"Plugins, outermost first: {layers}")
    model = "demo" if demo else "gpt-4o-mini"
    typer.echo(
        "Send the first request, from another terminal:\n\n"
        f"  curl {url}/v1/chat/completions -H 'content-type: application/json' \\\n"
        f'    -d \'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}\'\n\n'
        f"In an OpenAI SDK: base_url = {url}/v1; in Anthropic's: base_url = {url}. What was sent: helicone-gw logs"
    )
