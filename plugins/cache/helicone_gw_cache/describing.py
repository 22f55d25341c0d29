"""Describing: entries, stats and savings as JSON, over HTTP as on the command line; ages as people write them."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from helicone_gw_cache.backends import Counters, Stats
from helicone_gw_cache.entry import Entry
from helicone_gw_cache.savings import Saved

_AGE: Final = re.compile(r"([0-9]{1,9})([smhdw]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_age(text: str) -> int:
    """Seconds of an age such as ``90``, ``90s``, ``15m``, ``12h``, ``7d``, ``2w``. Raises `ValueError`."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise ValueError("should be an age such as 90s, 15m, 12h, 7d or 2w")
    return int(found[1]) * _SECONDS[found[2]]


def stats_as_json(kind: str, stats: Stats) -> dict[str, Any]:
    """What a backend of ``kind`` holds; times in ISO 8601 (UTC)."""
    return {
        "backend": kind,
        "entries": stats.entries,
        "bytes": stats.bytes,
        "oldest": moment(stats.oldest),
        "newest": moment(stats.newest),
        "models": [msgspec.structs.asdict(group) for group in stats.groups],
    }


def saved_as_json(saved: Saved) -> dict[str, Any]:
    """What hits saved since the gateway started."""
    return msgspec.structs.asdict(saved)


def counters_as_json(counters: Counters) -> dict[str, int]:
    """What a backend did since the gateway started."""
    return msgspec.structs.asdict(counters)


def entry_as_json(entry: Entry, now: float) -> dict[str, Any]:
    """An entry with its answer: ``body`` is the text of it, or ``body_base64`` what is no text."""
    described: dict[str, Any] = {
        "key": entry.key,
        "fresh": now < entry.expires_at,
        "status": entry.status,
        "dialect": entry.dialect,
        "operation": entry.operation,
        "provider": entry.provider,
        "model": entry.model,
        "streamed": entry.streamed,
        "frames": len(entry.frames),
        "stop_reason": entry.stop_reason,
        "organization": entry.organization,
        "owner": entry.owner,
        "request_id": entry.request_id,
        "latency_ms": entry.latency_ms,
        "usage": None if entry.usage is None else msgspec.structs.asdict(entry.usage),
        "cost_nano_usd": entry.cost_nano_usd,
        "stored_at": moment(entry.stored_at),
        "expires_at": moment(entry.expires_at),
        "stale_until": moment(entry.stale_until),
        "size": entry.size,
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in entry.headers],
    }
    body = b"".join(entry.frames)
    try:
        described["body"] = body.decode()
    except UnicodeDecodeError:
        described["body_base64"] = base64.b64encode(body).decode()
    return described


def moment(seconds: float | None) -> str | None:
    """A time in ISO 8601 (UTC); ``None`` for one that is unknown, or that no calendar has."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None
