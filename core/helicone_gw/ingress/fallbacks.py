"""``Helicone-Fallbacks``: Helicone's list of targets, or LiteLLM's list of model names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import msgspec


@dataclass(frozen=True, slots=True)
class FallbackTarget:
    """One entry of Helicone's form.

    ``target_url`` is the upstream, ``headers`` replace the request's, ``on_codes`` are inclusive ranges of the statuses
    that move on to the next entry, ``body_override`` is merged into the JSON body.
    """

    target_url: str
    headers: Mapping[str, str] = field(repr=False)
    on_codes: tuple[tuple[int, int], ...]
    body_override: Mapping[str, Any] | None = field(default=None, repr=False)

    def moves_on(self, status: int) -> bool:
        """Whether an answer with ``status`` from this entry makes the next one be tried."""
        return any(first <= status <= last for first, last in self.on_codes)


Fallbacks = tuple[FallbackTarget, ...] | tuple[str, ...]


def parse_fallbacks(text: str) -> Fallbacks:
    """Parse the header's value: a JSON array of objects, or of model names, in the order in which to try them.

    Raises:
        ValueError: it is neither; the message says what is wrong, and quotes nothing of it (it holds credentials).
    """
    try:
        entries = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ValueError("it is not valid JSON") from None
    if not isinstance(entries, list) or not entries:
        raise ValueError("it must be a JSON array with at least one entry")
    if all(isinstance(entry, str) for entry in entries):
        names = tuple(entry.strip() for entry in entries)
        if not all(names):
            raise ValueError("a model name is empty")
        return names
    return tuple(_target(entry, index) for index, entry in enumerate(entries))


def _target(entry: object, index: int) -> FallbackTarget:
    where = f"entry {index}"
    if not isinstance(entry, dict):
        raise ValueError(f"{where} must be an object, unless every entry is a model name")
    url = entry.get("target-url")
    if not isinstance(url, str) or not url.lower().startswith(("https://", "http://")):
        raise ValueError(f'{where}: "target-url" must be an absolute http(s) URL')
    headers = entry.get("headers")
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise ValueError(f'{where}: "headers" must be an object of strings')
    codes = entry.get("onCodes")
    if not isinstance(codes, list):
        raise ValueError(f'{where}: "onCodes" must be an array')
    override = entry.get("bodyKeyOverride")
    if override is not None and not isinstance(override, dict):
        raise ValueError(f'{where}: "bodyKeyOverride" must be an object')
    return FallbackTarget(url, headers, tuple(_codes(code, where) for code in codes), override)


def _codes(code: object, where: str) -> tuple[int, int]:
    if _is_status(code):
        return code, code
    if isinstance(code, dict):
        first, last = code.get("from"), code.get("to")
        if _is_status(first) and _is_status(last) and first <= last:
            return first, last
    raise ValueError(f'{where}: an item of "onCodes" must be a status or {{"from": status, "to": status}}')


def _is_status(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599
