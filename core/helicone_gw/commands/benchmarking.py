"""What ``helicone-gw bench`` does: what a request costs in this gateway, and in others beside it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
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
QUICK = Effort(share=0.05, turns=1)
ROUNDS = 5
"""Rounds of each repeat; in every one a case has a turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command, as `commands.bench` describes them."""

    cases: str | None
    list_cases: bool
    engine: str
    transport: str
    workers: int
    plugins_from: Path | None
    key: str | None
    quick: bool
    requests: int | None
    connections: int | None
    repeats: int
    peers: str
    litellm: Path | None
    portkey: Path | None
    install_peers: bool
    peers_in: Path
    target: str | None
    pid: int | None
    provider_port: int
    json_file: Path | None
    page: Path | None
    history: Path | None
    check: bool


def run_benchmark(options: Options) -> None:
    """Measure, and say what came of it. Raises `typer.Exit`: 2 nothing was measured, 1 something was bad."""
    if options.list_cases:
        _list()
        return
    try:
        report = _measured(options)
    except (UnknownCase, LoadFailed, peer_programs.CannotInstall, _WrongUsage) as problem:
        typer.echo(f"Nothing was measured: {problem}", err=True)
        raise typer.Exit(2) from None
    dearer = _write(report, options.json_file, options.page, options.history)
    if not report.sound or (options.check and dearer):
        raise typer.Exit(1)


def _measured(options: Options) -> Report:
    wanted = chosen(options.cases)
    if options.target:
        subjects = list(_target(options.target, options.pid, options.key))
    else:
        subjects = list(_ours(options.engine, options.transport, options.workers, options.plugins_from, options.key))
    subjects += _peers(options.peers, options.litellm, options.portkey, options.peers_in, install=options.install_peers)
    effort = _effort(options.quick, options.repeats, options.requests, options.connections)
    with _stopping_on_terminate():
        return run(subjects, wanted, effort, _say, quick=options.quick, provider_port=options.provider_port)


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
    share, turns = (QUICK.share, QUICK.turns) if quick else (1.0, ROUNDS * repeats)
    # A number that was asked for is meant as it stands.
    return Effort(share if requests is None else 1.0, turns, connections, requests)


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
