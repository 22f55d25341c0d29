"""Overrides: what ``Helicone-Fallbacks`` would put into the body for one of its targets, looked through like it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from helicone_gw import FallbackTarget, Request, every_text, with_every_text


def override_texts(request: Request) -> list[str]:
    """The texts of all entries' ``bodyKeyOverride``, in order."""
    return [text for entry in _entries(request) for text in every_text(_body(entry))]


def with_overrides(request: Request, change: Callable[[str], str]) -> Request:
    """``request`` with each of those texts as ``change`` makes it; ``request`` itself where none changes."""
    if all(change(text) == text for text in override_texts(request)):
        return request
    entries = tuple(
        replace(entry, body_override=_changed(entry, change))
        if isinstance(entry, FallbackTarget) and entry.body_override
        else entry
        for entry in request.helicone.fallbacks or ()
    )
    return request.replace(helicone=request.helicone.replace(fallbacks=entries))


def _entries(request: Request) -> list[FallbackTarget]:
    entries = request.helicone.fallbacks
    if not entries or request.body is None:
        return []
    return [entry for entry in entries if isinstance(entry, FallbackTarget) and entry.body_override]


def _body(entry: FallbackTarget) -> bytes:
    return msgspec.json.encode(entry.body_override)


def _changed(entry: FallbackTarget, change: Callable[[str], str]) -> Any:
    return msgspec.json.decode(with_every_text(_body(entry), change))
