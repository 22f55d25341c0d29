"""What is measured: the cases, by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from helicone_gw.bench.subjects import Profile
from helicone_gw.bench.workload import Script

SLOW = 0.2
"""A subject whose weight is below this cannot keep up with a rate, a pace or many connections; such cases skip it."""

UNARY = Script()
BURST = Script(events=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that is measured.

    Closed: ``requests`` as fast as ``connections`` answer, for CPU per request and event. Open: ``rate`` a second, for
    latency beside a direct run. Memory: RSS after ``requests`` and after ten times as many. Start: to the first answer.
    ``everyone``: peers are measured too. ``keeps_pace``: only for subjects that can (`SLOW`). ``default``: also when no
    case was named.
    """

    name: str
    title: str
    kind: Literal["closed", "open", "memory", "start"] = "closed"
    profile: Profile = "default"
    body_size: int = 1024
    script: Script = UNARY
    requests: int = 5000
    connections: int = 16
    rate: float | None = None
    headers: dict[str, str] = field(default_factory=dict)
    everyone: bool = True
    keeps_pace: bool = False
    needs_cache: bool = False
    default: bool = True


_KEPT = {"helicone-cache-enabled": "true"}

CASES = {
    case.name: case
    for case in (
        Case(name="unary-1k", title="unary, 1 KB request, 0.6 KB reply"),
        Case(name="unary-20k", title="unary, 20 KB request", body_size=20 << 10, requests=2500),
        Case(name="unary-200k", title="unary, 200 KB request", body_size=200 << 10, requests=1000),
        Case(name="reply-20k", title="unary, 20 KB reply", script=Script(reply=20 << 10), requests=2500, default=False),
        Case(
            name="reply-200k", title="unary, 200 KB reply", script=Script(reply=200 << 10), requests=1000, default=False
        ),
        Case(name="sse-burst", title="SSE, 100 events at once", script=BURST, requests=1500),
        Case(
            name="sse-paced",
            title="SSE, 100 events at 10 ms, 64 connections",
            script=Script(events=100, pause=10),
            requests=256,
            connections=64,
            keeps_pace=True,
        ),
        Case(
            name="streams-256",
            title="SSE, 100 events at 20 ms, 256 connections",
            script=Script(events=100, pause=20),
            requests=512,
            connections=256,
            keeps_pace=True,
        ),
        Case(name="cache-hit", title="unary from the cache, 1 KB", headers=_KEPT, everyone=False, needs_cache=True),
        Case(name="pass-through", title="unary, 1 KB, no plugin", profile="minimal", everyone=False),
        Case(
            name="pass-through-sse",
            title="SSE, 100 events at once, no plugin",
            profile="minimal",
            script=BURST,
            requests=1500,
            everyone=False,
        ),
        Case(name="no-bodies-1k", title="unary, 1 KB, bodies not stored", profile="no bodies", everyone=False),
        Case(
            name="no-bodies-20k",
            title="unary, 20 KB, bodies not stored",
            profile="no bodies",
            body_size=20 << 10,
            requests=2500,
            everyone=False,
        ),
        Case(
            name="rate-100",
            title="unary, 100 a second",
            kind="open",
            rate=100.0,
            requests=1000,
            connections=64,
            keeps_pace=True,
        ),
        Case(
            name="first-token",
            title="SSE, 20 events at 5 ms, 100 streams a second",
            kind="open",
            rate=100.0,
            script=Script(events=20, pause=5),
            requests=1000,
            connections=128,
            keeps_pace=True,
        ),
        Case(
            name="memory", title="RSS after 10,000 and 100,000 requests", kind="memory", requests=10_000, everyone=False
        ),
        Case(name="start", title="start to first answer", kind="start"),
    )
}


class UnknownCase(Exception):
    """A name that is none of `CASES`."""


def chosen(names: str | None) -> list[Case]:
    """The cases of a comma-separated list, in `CASES`' order; ``None``: those by default. Raises `UnknownCase`."""
    if names is None:
        return [case for case in CASES.values() if case.default]
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in CASES:
            raise UnknownCase(f"no case {name!r}; there are {', '.join(CASES)}")
    return [case for case in CASES.values() if case.name in wanted]


def why_not(case: Case, *, gateway: bool, weight: float, profiles: tuple[Profile, ...], cache: bool) -> str | None:
    """Why a subject is not measured in a case; ``None``: it is. An empty text: it is not meant for it."""
    if not case.everyone and not gateway:
        return ""
    if case.profile not in profiles:
        return ""
    if case.needs_cache and not cache:
        return "no cache plugin is configured"
    if case.keeps_pace and weight < SLOW:
        return "too slow to keep up with the rate"
    return None
