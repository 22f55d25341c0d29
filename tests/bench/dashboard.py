"""How quick the dashboard is over a million requests: ``python -m tests.bench.dashboard`` (``--help``).

What every page and every interaction takes of the gateway's time, and when a browser has something to show: the first
contentful paint of a real Chromium with a fresh profile, also right after the gateway's start and with nothing of the
database in the system's memory. With ``--page docs/performance.md`` the tables take the place of those before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch
from urllib.parse import quote

import httpx

from helicone_gw_dashboard.lens import Lens
from tests.bench.dashboard_paints import Paint, painted
from tests.bench.dashboard_visits import VISITS, Visit, unmeasured
from tests.plugins.dashboard import furnishing
from tests.plugins.dashboard.screenshots import HEADERS, PLUGINS
from tests.plugins.dashboard.seeding import tell
from tests.plugins.logging import test_scale
from tests.program import EXECUTABLE, free_port, process

ROWS, HOUR = 1_000_000, 3_600_000
MILLISECONDS, PAINT_MILLISECONDS, TRANSFER = 150, 300, 150_000
"""What an interaction may take, within what a page shows something, and the bytes of the overview."""
PAINTED = (
    ("text alone, which is no page of the dashboard", "/healthz"),
    ("overview, a month", "/?range=30d"),
    ("overview, a day", "/?range=24h"),
    ("requests", "/dashboard/requests?range=30d"),
    ("sessions", "/dashboard/sessions?range=30d"),
    ("users", "/dashboard/users?range=30d"),
    ("models", "/dashboard/models?range=30d"),
    ("prompts", "/dashboard/prompts"),
    ("settings", "/dashboard/settings"),
)
STEPS = 500
"""Requests of the longest session."""
READY = 5
"""Seconds after a start until which the dashboard has made itself ready."""
BEGIN = "<!-- dashboard: begin (written by python -m tests.bench.dashboard) -->"
END = "<!-- dashboard: end -->"


class Took(NamedTuple):
    """Milliseconds of several rounds, CPU time of one, and the bytes of the answer as it travels."""

    rounds: list[float]
    cpu: float
    octets: int


class Running(NamedTuple):
    """A gateway: its address and its process."""

    url: str
    pid: int


def build(path: Path, rows: int = ROWS) -> None:
    """Write a log of ``rows`` requests of the last thirty days through the log's own insert."""
    now = round(time.time() * 1000)
    with patch.object(test_scale, "START", now // HOUR * HOUR - test_scale.DAYS * 24 * HOUR + HOUR):
        asyncio.run(test_scale.fill(path, rows))


@contextmanager
def running(database: Path, work: Path) -> Iterator[Running]:
    """The program on ``database``, with everything that the pages are about."""
    port = free_port()
    config = {
        "server": {**furnishing.ALLOWED, "host": "127.0.0.1", "port": port},
        "database": {"url": f"sqlite:///{database}"},
        "providers": {"demo": {}},
        "plugins": PLUGINS,
    }
    file = work / "gateway.yaml"
    file.write_text(json.dumps(config))
    url = f"http://127.0.0.1:{port}"
    with process([EXECUTABLE, "--config", file], f"{url}/readyz", work / "gateway.log", cwd=work) as pid:
        yield Running(url, pid)


def forget(database: Path) -> None:
    """Have the system keep nothing of the database's files in memory."""
    for file in database.parent.glob(database.name + "*"):
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def converse(client: httpx.Client) -> None:
    """Tell of a session of `STEPS` requests, five to a step of its path."""
    dice, now = random.Random(7), time.time()
    for number in range(STEPS):
        said = {"Helicone-Session-Id": "long", "Helicone-Session-Path": f"/agent/step-{number // 5}"}
        tell(client, dice, "gpt-4o-mini", "openai", now - 2 * STEPS + 2 * number, 1.5, said, 200)
    wanted = {"filter": {"request_response_rmt": {"session_id": {"equals": "long"}}}}
    while client.post("/v1/request/count/query", json=wanted).json()["data"] < STEPS:
        time.sleep(0.1)


def names(url: str) -> dict[str, str]:
    """What stands in braces in the addresses of `VISITS`, once there is something of every kind."""
    furnished = furnishing.furnish(url, HEADERS)
    _, _, _, prompt, _, version = furnished[1].split("/")
    with httpx.Client(base_url=url, headers=HEADERS, trust_env=False, timeout=60) as client:
        converse(client)
        some = {"filter": {"request_response_rmt": {"model": {"equals": "model-3"}}}, "limit": 50}
        listed = client.post("/v1/request/query", json={**some, "sort": {"created_at": "desc"}}).json()
        evaluators = client.post("/v1/evaluator/query", json={}).json()["data"]
        keys = client.get("/v1/api-keys").json()["data"]
        alerts = client.get("/v1/alert/query").json()["data"]["alerts"]
        webhook = client.get("/v1/webhooks").json()["data"][0]
    return {
        "request": listed["data"][7]["id"],
        "cursor": quote(listed["cursor"]),
        "searched": quote(Lens("", 0, 1).searching("user-77")["filter"]),
        "nobody": quote(Lens("", 0, 1).searching("nobody has this")["filter"]),
        "prompt": prompt,
        "version": version,
        "first": httpx.URL(furnished[2]).params["from"],
        "evaluator": evaluators[0]["id"],
        "alert": next(alert["id"] for alert in alerts if not alert["configured"]),
        "webhook": str(webhook["id"]),
        "key": next(str(key["id"]) for key in keys if key.get("id")),
    }


def visit(client: httpx.Client, one: Visit, known: Mapping[str, str]) -> int:
    """Ask for it as a browser does; the bytes of the answer as it travels. Raises `AssertionError` where that fails."""
    path = one.path
    for name, value in known.items():
        path = path.replace(f"{{{name}}}", value)
    headers = {"Accept-Encoding": "gzip", **({"HX-Request": "true"} if one.part else {})}
    method = "GET" if one.form is None else "POST"
    address = path if path.startswith("/?") else f"/dashboard{path}"
    with client.stream(method, address, headers=headers, data=one.form) as answer:
        octets = sum(map(len, answer.iter_raw()))
    assert answer.status_code in (200, 303), f"{one.name}: {answer.status_code}"
    return octets


def cpu(pid: int) -> float:
    """Milliseconds of CPU time that the process took so far, threads that ended included."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) * 1000 / os.sysconf("SC_CLK_TCK")


def interactions(at: Running, rounds: int, only: str = "") -> dict[str, Took]:
    """What each of `VISITS` takes, by its name."""
    known, found = names(at.url), {}
    with httpx.Client(base_url=at.url, headers=HEADERS, trust_env=False, timeout=60) as client:
        for one in (each for each in VISITS if only in each.name):
            visit(client, one, known)
            took, octets, before = [], 0, cpu(at.pid)
            for _ in range(rounds):
                begun = time.perf_counter()
                octets = visit(client, one, known)
                took.append((time.perf_counter() - begun) * 1000)
            used = (cpu(at.pid) - before) / rounds
            found[one.name] = Took(took, used, octets)
            print(f"{one.name:34} {statistics.median(took):7.1f} {max(took):7.1f} {used:7.1f} {octets:9,}", flush=True)
    return found


def paints(database: Path, work: Path, cold: int, warm: int, only: str = "") -> dict[str, dict[str, list[Paint]]]:
    """Paints of each of `PAINTED`: "cold" by a program and from a disk that were just woken, "warm" later, and "again"
    with what the browser has kept."""
    found: dict[str, dict[str, list[Paint]]] = {}
    pages = [(name, address) for name, address in PAINTED if only in name]
    for name, address in pages:
        of: dict[str, list[Paint]] = {"cold": [], "warm": [], "again": []}
        for _ in range(cold):
            with running(database, work) as at:
                time.sleep(READY)
                forget(database)
                of["cold"] += asyncio.run(painted(at.url + address, HEADERS, 1))
        found[name] = of
    with running(database, work) as at:
        time.sleep(READY)
        for name, address in pages:
            asyncio.run(painted(at.url + address, HEADERS, 1))
            for _ in range(warm):
                first, *again = asyncio.run(painted(at.url + address, HEADERS, 3))
                found[name]["warm"].append(first)
                found[name]["again"] += again
            for kind, each in found[name].items():
                ms = [round(paint.first) for paint in each]
                print(
                    f"{name:22} {kind:6} {round(statistics.median(ms)) if ms else 0:6} ms of {sorted(ms)}", flush=True
                )
    return found


def tables(took: Mapping[str, Took], seen: Mapping[str, Mapping[str, list[Paint]]]) -> str:
    """Both tables as Markdown, with the day and how busy the machine was."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    rounds = max((len(each.rounds) for each in took.values()), default=0)
    measured = f"Measured {time.strftime('%Y-%m-%d')} on {os.cpu_count()} cores, whose load was {load} in the end."
    bars = f"Bars: {PAINT_MILLISECONDS} ms for a paint, {MILLISECONDS} ms at the server"
    lines = [
        f"{measured} Figures are the best; the median; the worst. {bars}: where the best is above, it is **bold**.",
        "",
        "First contentful paint, and when everything was there, in milliseconds:",
        "",
        "| page | started anew, nothing of the database in memory | new profile | seen before | everything | bytes |",
        "|---|---|---|---|---|---|",
    ]
    for name, of in seen.items():
        firsts = [
            _spread([paint.first for paint in of[kind]], PAINT_MILLISECONDS) for kind in ("cold", "warm", "again")
        ]
        whole = _spread([paint.settled for paint in of["warm"]], 1e9)
        octets = max((paint.octets for paint in of["warm"]), default=0)
        lines.append(f"| {name} | {' | '.join(firsts)} | {whole} | {octets:,} |")
    lines += [
        "",
        f"Milliseconds at the server in {rounds} rounds; CPU of the whole program, the mean; bytes on the wire:",
        "",
        "| page or interaction | best; median; worst | CPU | bytes |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {_spread(one.rounds, MILLISECONDS)} | {one.cpu:.0f} | {one.octets:,} |"
        for name, one in took.items()
    ]
    return "\n".join(lines)


def _spread(values: list[float], bar: float) -> str:
    if not values:
        return "–"
    best, shown = min(values), f"{min(values):.0f}; {statistics.median(values):.0f}; {max(values):.0f}"
    return f"**{shown}**" if best > bar else shown


def write(page: Path, text: str) -> None:
    """Put ``text`` between the markers of ``page``. Raises `ValueError` where they are not there."""
    before, begun, rest = page.read_text().partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise ValueError(f"{page.name} has not {BEGIN} and after it {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def main() -> None:
    """Build the log unless there is one, measure, and print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", type=Path, help="a log that is there already, and is copied")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cold", type=int, default=5, help="paints by a program started anew, of each page")
    parser.add_argument("--only", default="", help="measure only what has this in its name")
    parser.add_argument("--warm", type=int, default=9)
    parser.add_argument("--page", type=Path, help="where the tables are to stand")
    given = parser.parse_args()
    for path in unmeasured():
        print(f"No visit leads to {path}: it is not measured.")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        database = work / "log.db"
        if given.database:
            shutil.copyfile(given.database, database)
        else:
            build(database, given.rows)
        took = {}
        if given.rounds:
            with running(database, work) as at:
                took = interactions(at, given.rounds, given.only)
        text = tables(took, paints(database, work, given.cold, given.warm, given.only))
    if given.page:
        write(given.page, text)
    print(text)


if __name__ == "__main__":
    main()
