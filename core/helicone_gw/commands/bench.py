"""``helicone-gw bench``: what a request costs in this gateway, and in others beside it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from helicone_gw.bench import history as histories
from helicone_gw.bench import page as pages
from helicone_gw.bench import peers as peer_programs
from helicone_gw.bench.bars import bars
from helicone_gw.bench.cases import CASES, Case, UnknownCase, chosen
from helicone_gw.bench.helpers import LoadFailed
from helicone_gw.bench.measure import Effort
from helicone_gw.bench.report import TARGET, Report, table, to_json
from helicone_gw.bench.runner import run
from helicone_gw.bench.subjects import ExternalSubject, Subject, gateway, nginx
from helicone_gw.bench.workload import PATH
from helicone_gw.config import PACKAGED, Engine, Transport

PEERS = ("nginx", "portkey", "litellm")
CACHE = "~/.cache/helicone-gw/peers"
QUICK = Effort(share=0.05, repeats=1)

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
        int, typer.Option(min=1, help="How often each case is measured; the median counts.", rich_help_panel=_SIZE)
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
    if list_cases:
        _list()
        return
    try:
        wanted = chosen(cases)
        subjects = list(_target(target, pid, key) if target else _ours(engine, transport, workers, plugins_from, key))
        subjects += _peers(peers, litellm, portkey, peers_in.expanduser(), install=install_peers)
        with _stopping_on_terminate():
            report = run(
                subjects,
                wanted,
                _effort(quick, repeats, requests, connections),
                _say,
                quick=quick,
                provider_port=provider_port,
            )
    except (UnknownCase, LoadFailed, peer_programs.CannotInstall, _WrongUsage) as problem:
        typer.echo(f"Nothing was measured: {problem}", err=True)
        raise typer.Exit(2) from None
    dearer = _write(report, json_file, page, history)
    if not report.sound or (check and dearer):
        raise typer.Exit(1)


class _WrongUsage(Exception):
    """An option's value is none that it may have."""


@contextmanager
def _stopping_on_terminate() -> Iterator[None]:
    """SIGTERM ends the benchmark as Ctrl-C does: what it started is stopped."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _list() -> None:
    table = Table("case", "what", "by default", box=None, header_style="bold")
    for case in CASES.values():
        table.add_row(case.name, case.title, _when(case))
    Console().print(table)


def _when(case: Case) -> str:
    return "with a cache" if case.needs_cache else "yes" if case.default else "no"


def _effort(quick: bool, repeats: int, requests: int | None, connections: int | None) -> Effort:
    share, times = (QUICK.share, QUICK.repeats) if quick else (1.0, repeats)
    # A number that was asked for is meant as it stands.
    return Effort(share if requests is None else 1.0, times, connections, requests)


def _names(text: str, known: tuple[str, ...], option: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise _WrongUsage(f"{option} {name!r}: one of {', '.join(known)}")
    return names


def _ours(engines: str, transports: str, workers: int, plugins_from: Path | None, key: str | None) -> Iterator[Subject]:
    plugins = _plugins(plugins_from)
    for engine in _names(engines, get_args(Engine), "--engine"):
        for transport in _names(transports, get_args(Transport), "--transport"):
            yield gateway(engine, transport, workers=workers, plugins=plugins, key=key)


def _plugins(file: Path | None) -> list[Any]:
    source = file or PACKAGED
    try:
        items = (YAML(typ="safe").load(source.read_text()) or {})["plugins"]
    except (OSError, YAMLError, KeyError, TypeError, AttributeError):
        raise _WrongUsage(f"--plugins-from: {source.name} is no configuration with a list of plugins") from None
    if not isinstance(items, list):
        raise _WrongUsage(f"--plugins-from: the plugins of {source.name} are no list")
    return items


def _target(url: str, pid: int | None, key: str | None) -> Iterator[Subject]:
    parts = urlsplit(url if "//" in url else f"//{url}")
    if parts.scheme not in ("", "http") or parts.hostname is None:
        raise _WrongUsage("--target: an http:// URL of a gateway on this machine or network")
    path = parts.path.rstrip("/")
    yield ExternalSubject(
        name=TARGET,
        host=parts.hostname,
        port=parts.port or 80,
        path=path + (PATH.removeprefix("/v1") if path.endswith("/v1") else PATH),
        pid=pid,
        headers={"helicone-auth": f"Bearer {key}"} if key else {},
        exact=False,
    )


def _peers(names: str, litellm: Path | None, portkey: Path | None, cache: Path, *, install: bool) -> Iterator[Subject]:
    wanted = {"all": list(PEERS), "none": []}.get(names)
    asked = wanted is None
    for name in _names(names, PEERS, "--peers") if wanted is None else wanted:
        try:
            peer = _peer(name, litellm, portkey, cache, install=install)
        except peer_programs.CannotInstall as problem:
            if asked:
                raise
            _say(f"{name} could not be installed: {problem}")
            peer = None
        if peer is not None:
            yield peer
        elif asked:
            raise _WrongUsage(f"--peers: {name} is not installed; see --install-peers")
        else:
            _say(f"{name} is not there, and is left out")


def _peer(name: str, litellm: Path | None, portkey: Path | None, cache: Path, *, install: bool) -> Subject | None:
    if name == "nginx":
        return nginx()
    if name == "litellm":
        place = litellm or cache / "litellm"
        if install and peer_programs.litellm(place) is None:
            _say("installing LiteLLM's proxy ...")
            peer_programs.install_litellm(place)
        return peer_programs.litellm(place)
    place = portkey or cache / "portkey"
    if install and peer_programs.portkey(place) is None:
        _say("installing Portkey's gateway ...")
        peer_programs.install_portkey(place)
    return peer_programs.portkey(place)


def _write(report: Report, json_file: Path | None, page: Path | None, history: Path | None) -> bool:
    """Print the report and write what was asked for; whether something became dearer."""
    console = Console(width=None if Console().is_terminal else 200)
    console.print(table(report))
    for note in report.notes:
        console.print(note)
    _print_bars(console, report)
    if json_file is not None:
        json_file.write_bytes(to_json(report))
    if page is not None:
        try:
            pages.update(page, report)
        except pages.NoMarkers as problem:
            typer.echo(f"The page was not written: {problem}", err=True)
    return history is not None and _remember(report, history)


def _print_bars(console: Console, report: Report) -> None:
    found = [bar for bar in bars(report) if bar.holds is not None]
    if not found:
        return
    drawn = Table("engine", "what", "bar", "measured", "holds", box=None, header_style="bold", title_justify="left")
    for bar in found:
        drawn.add_row(bar.engine, bar.what, bar.limit, bar.measured, "yes" if bar.holds else "NO")
    console.print()
    console.print(drawn)


def _remember(report: Report, file: Path) -> bool:
    try:
        known = histories.read(file)
    except msgspec.DecodeError:
        typer.echo(f"{file} is no history of this benchmark and was left as it is", err=True)
        return False
    new = histories.entry(report)
    dearer = histories.regressions(known, new)
    for regression in dearer:
        typer.echo(str(regression))
    histories.write(file, known, new)
    return bool(dearer)
