"""``helicone-gw bench``: its options, and what they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CACHE = "~/.cache/helicone-gw/peers"

_RUNNING, _PEERS, _OUTPUT, _SIZE = "A gateway that runs", "Peers", "Output", "Size"


def bench(
    cases: Annotated[str | None, typer.Option(help="Only these cases, comma-separated; see --list.")] = None,
    list_cases: Annotated[bool, typer.Option("--list", help="List the cases, and measure nothing.")] = False,
    engine: Annotated[str, typer.Option(help="Engines to measure, comma-separated.")] = "hypercorn",
    transport: Annotated[str, typer.Option(help="Transports to measure, comma-separated.")] = "fast",
    workers: Annotated[int, typer.Option(min=1, help="Worker processes of the gateway.")] = 1,
    plugins_from: Annotated[
        Path | None, typer.Option(help="Take the list of plugins from this configuration, not the default one.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="HELICONE_GW_KEY", help="Gateway key, where the plugins ask for one.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A twentieth of the requests, once: a first look.", rich_help_panel=_SIZE)
    ] = False,
    requests: Annotated[int | None, typer.Option(min=1, help="Requests of each case.", rich_help_panel=_SIZE)] = None,
    connections: Annotated[
        int | None, typer.Option(min=1, help="At most so many connections.", rich_help_panel=_SIZE)
    ] = None,
    repeats: Annotated[
        int,
        typer.Option(
            min=1,
            help="Five rounds each, in which everyone has a turn; the lower quartile counts.",
            rich_help_panel=_SIZE,
        ),
    ] = 3,
    peers: Annotated[
        str, typer.Option(help="nginx, portkey, litellm; or none, or all there are.", rich_help_panel=_PEERS)
    ] = "all",
    litellm: Annotated[
        Path | None, typer.Option(help="Virtual environment with litellm\\[proxy].", rich_help_panel=_PEERS)
    ] = None,
    portkey: Annotated[
        Path | None, typer.Option(help="Directory with @portkey-ai/gateway in node_modules.", rich_help_panel=_PEERS)
    ] = None,
    install_peers: Annotated[
        bool, typer.Option("--install-peers", help="Install those of --peers that are missing.", rich_help_panel=_PEERS)
    ] = False,
    peers_in: Annotated[
        Path, typer.Option(help="Where peers are looked for and installed.", rich_help_panel=_PEERS)
    ] = Path(CACHE),
    target: Annotated[
        str | None, typer.Option(help="Its URL: measure it, and start no gateway.", rich_help_panel=_RUNNING)
    ] = None,
    pid: Annotated[
        int | None, typer.Option(help="Its process id, for CPU and memory.", rich_help_panel=_RUNNING)
    ] = None,
    provider_port: Annotated[
        int, typer.Option(help="Port of the mock provider, which must be its provider.", rich_help_panel=_RUNNING)
    ] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the report to this file.", rich_help_panel=_OUTPUT)
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write the tables between this page's markers.", rich_help_panel=_OUTPUT)
    ] = None,
    history: Annotated[
        Path | None, typer.Option(help="Compare with this history, and add to it.", rich_help_panel=_OUTPUT)
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit code 1 when something became 15 % dearer.", rich_help_panel=_OUTPUT)
    ] = False,
) -> None:
    """Measure what a request costs: CPU of the gateway's whole process tree, added latency, memory, bad answers.

    Starts this gateway with its default plugins and with none, a mock provider that costs next to nothing, and a load
    generator that sends an exact number of requests and checks every byte that comes back. nginx, LiteLLM's proxy and
    Portkey's gateway are measured beside it where they are installed: figures are worth comparing only within one run.

    CPU is what to look at; throughput and latency on a shared machine are noise. Rates are kept whatever the gateway
    does, and latency counts from when a request was due. Everything stays on this machine.

    For a gateway that runs already: give it the mock provider (providers: {openai: {base_url:
    "http://127.0.0.1:9001/v1", api_key: x}}), and say --provider-port 9001 --target http://127.0.0.1:8787 --pid PID.

    Exit code 1 when an answer of this gateway was bad.
    """
    # Everything behind it is of use to this command alone: a gateway starts without it.
    from helicone_gw.commands import benchmarking

    benchmarking.run_benchmark(
        benchmarking.Options(
            cases=cases,
            list_cases=list_cases,
            engine=engine,
            transport=transport,
            workers=workers,
            plugins_from=plugins_from,
            key=key,
            quick=quick,
            requests=requests,
            connections=connections,
            repeats=repeats,
            peers=peers,
            litellm=litellm,
            portkey=portkey,
            install_peers=install_peers,
            peers_in=peers_in.expanduser(),
            target=target,
            pid=pid,
            provider_port=provider_port,
            json_file=json_file,
            page=page,
            history=history,
            check=check,
        )
    )
