"""What a load generator is told and what it tells: `Plan` and `Outcome`, which travel as lines of JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from helicone_gw.bench.workload import PATH, Script


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run of requests, all alike.

    ``requests`` are sent over ``connections`` that are kept alive: each as soon as a connection is free, or, with a
    ``rate``, so many a second whatever becomes of those before. ``body_size`` is in bytes, ``patience`` in seconds:
    what is not answered by then is counted as bad.
    """

    host: str = "127.0.0.1"
    port: int
    path: str = PATH
    headers: dict[str, str] = {}
    script: Script = Script()
    body_size: int = 1024
    exact: bool = True
    requests: int
    connections: int = 16
    rate: float | None = None
    patience: float = 300.0


class Quantiles(msgspec.Struct, frozen=True):
    """Times in milliseconds."""

    p50: float
    p90: float
    p99: float
    max: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a `Plan`.

    ``latency`` is from the moment a request was due (with a rate: scheduled, waiting for a free connection included) to
    the last byte of its answer, ``first_byte`` to the first piece of the body that holds a token. ``faults`` counts bad
    answers by reason.
    """

    requests: int
    bad: int
    faults: dict[str, int]
    events: int
    reconnects: int
    seconds: float
    latency: Quantiles | None
    first_byte: Quantiles | None


def quantiles(seconds: Sequence[float]) -> Quantiles | None:
    """The quantiles (nearest rank) of times in seconds; ``None`` of none."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    last = len(ordered) - 1
    p50, p90, p99, most = (round(ordered[int(last * share)] * 1000, 4) for share in (0.5, 0.9, 0.99, 1.0))
    return Quantiles(p50, p90, p99, most)
