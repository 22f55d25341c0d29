"""Rendering: stats and entries for people."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDE = 200
_OF_AN_ENTRY = (
    "key", "fresh", "status", "dialect", "operation", "provider", "model", "streamed", "frames", "stop_reason",
    "organization", "owner", "request_id", "latency_ms", "usage", "cost_nano_usd", "stored_at", "expires_at",
    "stale_until", "size",
)  # fmt: skip


def print_stats(stats: Mapping[str, Any]) -> None:
    """Print what the cache holds, and what it saved where that is known."""
    console = _console()
    kind = {"memory": "in memory", "disk": "on disk", "redis": "in Redis"}.get(stats["backend"], stats["backend"])
    console.print(_plain(f"{stats['entries']} entries {kind}, {_size(stats['bytes'])}"))
    if stats["oldest"] is not None:
        console.print(_plain(f"stored from {stats['oldest']} to {stats['newest']}"))
    saved = stats.get("saved")
    if saved is not None:
        tokens = saved["tokens"]["prompt_tokens"] + saved["tokens"]["completion_tokens"]
        console.print(
            _plain(
                f"since the start {saved['hits']} hits and {saved['misses']} misses; saved {tokens} tokens"
                f"{_unknown(saved['unknown_tokens'])}, {_dollars(saved['nano_usd'])}{_unknown(saved['unknown_cost'])}, "
                f"{saved['milliseconds'] / 1000:.1f} s"
            )
        )
    if not stats["models"]:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, justify in (("provider", "left"), ("model", "left"), ("entries", "right"), ("size", "right")):
        table.add_column(column, justify="right" if justify == "right" else "left")
    for group in stats["models"]:
        table.add_row(
            _plain(group["provider"] or "-"),
            _plain(group["model"] or "-"),
            str(group["entries"]),
            _size(group["bytes"]),
        )
    console.print(table)


def print_entry(entry: Mapping[str, Any]) -> None:
    """Print an entry: facts, headers, and its answer."""
    console = _console()
    for name in _OF_AN_ENTRY:
        value = entry.get(name)
        if name == "usage" and value is not None:
            value = ", ".join(f"{unit} {count}" for unit, count in value.items() if count is not None)
        if value is not None:
            _fact(console, name, str(value))
    for header, value in entry["headers"]:
        _fact(console, header, value)
    console.print()
    if "body" not in entry:
        console.print(_plain("(not text: --json shows it in base64)"))
        return
    console.print(_plain(_indented(entry["body"])), soft_wrap=True)


def _fact(console: Console, name: str, value: str) -> None:
    console.print(Text(f"{name:<16} ", style="bold").append_text(_plain(value)), soft_wrap=True)


def _indented(body: str) -> str:
    try:
        return msgspec.json.format(body, indent=2)
    except msgspec.DecodeError:
        return body


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDE)


def _plain(text: str) -> Text:
    """Text without control characters: what a provider sent must not steer the terminal."""
    return Text("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text))


def _unknown(count: int) -> str:
    return f" (of {count} hits it is unknown)" if count else ""


def _dollars(nano_usd: int) -> str:
    return f"${(Decimal(nano_usd) / 10**9).normalize():f}" if nano_usd else "$0"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
