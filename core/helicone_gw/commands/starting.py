"""Starting the gateway, for which neither the other commands nor what command lines are made of is imported."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

import helicone_gw_script
from helicone_gw import server
from helicone_gw.commands.loading import Loaded, build_gateway, load
from helicone_gw.config import GatewayConfig
from helicone_gw.errors import ConfigError
from helicone_gw.gateway import Gateway
from helicone_gw.logs import configure_logging
from helicone_gw.routing import DEMO_PROVIDER
from helicone_gw.shared import making_shared_directory
from helicone_gw.workers import run_workers

USAGE_ERROR = 2


def say(text: str, stream: TextIO | None = None) -> None:
    """Write a line to standard output, or to ``stream``, at once."""
    print(text, file=stream, flush=True)


def start(loaded: Loaded) -> int:
    """Start the gateway and serve until it is asked to stop; the exit code of the program."""
    configure_logging()
    try:
        with making_shared_directory():
            return _serve(loaded)
    except ConfigError as error:
        return _refuse(error)


def work(path: str, port: int) -> None:
    """One worker process of `run_workers`, whose imports the script makes cheaper."""
    configure_logging()

    def read() -> GatewayConfig:
        config = load(Path(path)).config
        return config.model_copy(update={"server": config.server.model_copy(update={"port": port})})

    try:
        config = read()
        code = server.run(config, _building(config, read), lambda gateway, url: None, shared=True)
    except ConfigError as error:
        code = _refuse(error)
    sys.exit(code)


def _serve(loaded: Loaded) -> int:
    config = loaded.config
    if config.server.workers > 1:
        gc.enable()
        return run_workers(
            config, str(loaded.path), helicone_gw_script.work, lambda url: _greet(loaded, url, demo=_has_demo(loaded))
        )
    return server.run(
        config,
        _building(config, lambda: load(loaded.path).config),
        lambda gateway, url: _started(loaded, gateway, url),
    )


def _building(config: GatewayConfig, read: Callable[[], GatewayConfig]) -> Callable[[], Gateway]:
    """What builds a gateway of ``config`` the first time, and of the file as it then is at every reload."""
    first = [config]
    return lambda: build_gateway(first.pop() if first else read())


def _refuse(error: ConfigError) -> int:
    say(f"The gateway cannot start:\n{error}", sys.stderr)
    return USAGE_ERROR


def _has_demo(loaded: Loaded) -> bool:
    return DEMO_PROVIDER in loaded.config.providers


def _started(loaded: Loaded, gateway: Gateway, url: str) -> None:
    _greet(loaded, url, demo=gateway.catalogue.is_configured(DEMO_PROVIDER))
    if not gateway.keys.configured:
        say("No gateway key is configured: open to programs on this machine only.")


def _greet(loaded: Loaded, url: str, *, demo: bool) -> None:
    layers = " > ".join(spec.name for spec in loaded.config.plugins) or "none"
    say(f"helicone-gw {version('helicone-gw-core')} on {url}  (configuration: {loaded.path})")
    say(f"Plugins, outermost first: {layers}")
    model = "demo" if demo else "gpt-4o-mini"
    say(
        "Send the first request, from another terminal:\n\n"
        f"  curl {url}/v1/chat/completions -H 'content-type: application/json' \\\n"
        f'    -d \'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}\'\n\n'
        f"In an OpenAI SDK: base_url = {url}/v1; in Anthropic's: base_url = {url}. What was sent: helicone-gw logs"
    )
