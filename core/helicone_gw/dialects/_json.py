"""Lenient JSON reading: what providers and clients send is looked at, never trusted to have the documented shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from helicone_gw.errors import MalformedBody

MAX_COUNT = 2**63 - 1
"""Largest count or amount believed: what a 64-bit column of any database holds."""

_EXACT: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


class Unreadable(ValueError):
    """Bytes that are not JSON, or nested too deeply to read."""


def decode(data: bytes) -> Any:
    """The JSON value in ``data``. Raises `Unreadable`.

    Accepts what JavaScript and Python write though RFC 8259 section 8.2 calls it unpredictable: lone surrogates in
    escapes (read as U+FFFD). A provider may well read them, so a guard has to.
    """
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    except ValueError as problem:
        first = problem
    try:
        return _without_surrogates(json.loads(data.decode("utf-8", "replace"), parse_constant=_refuse))
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    except ValueError:
        raise Unreadable(str(first)) from None


def check_objects(data: bytes, check: Callable[[list[tuple[str, Any]]], None]) -> None:
    """Have ``check`` look at the members of every object in ``data``, which `decode` can read; what it raises passes.

    Raises `Unreadable` for what is nested too deeply.
    """
    try:
        json.loads(data.decode("utf-8", "replace"), object_pairs_hook=check)
    except RecursionError:
        raise Unreadable("nested too deeply") from None


def decode_exactly(data: bytes | msgspec.Raw) -> Any:
    """The JSON value in ``data`` with fractional numbers as `Decimal`; ``None`` for what is not JSON."""
    try:
        return _EXACT.decode(data)
    except (ValueError, RecursionError, ArithmeticError):
        return None


def read_body(body: bytes) -> dict[str, Any]:
    """The object in a request body. Raises `MalformedBody` for anything else."""
    try:
        value = decode(body)
    except Unreadable as problem:
        raise MalformedBody(f"The request body is not valid JSON: {problem}") from None
    if not isinstance(value, dict):
        raise MalformedBody(f"The request body must be a JSON object, not {describe(value)}.")
    return value


def describe(value: Any) -> str:
    """A JSON value in words, short enough for an error message.

    >>> describe("true"), describe(None), describe([1])
    ('the string "true"', 'null', 'an array')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return f"the number {str(value)[:40]}"
    if isinstance(value, str):
        return f'the string "{value[:40]}"' if len(value) <= 40 else f'the string "{value[:40]}..."'
    return "an array" if isinstance(value, Sequence) else "an object"


def text(value: Any) -> str | None:
    """``value`` if it is a non-empty string."""
    return value if isinstance(value, str) and value else None


def count(value: Any) -> int | None:
    """``value`` if it is a whole number from 0 to `MAX_COUNT`, ``3.0`` included; else ``None``: not known."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if not 0 <= value <= MAX_COUNT:
        return None
    whole = int(value)
    return whole if whole == value else None


def mapping(value: Any) -> Mapping[str, Any]:
    """``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """``value`` if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def texts(value: Any, keys: frozenset[str], whole: frozenset[str] = frozenset()) -> list[str]:
    """Every non-empty string in ``value``, in order, that is reached through arrays and through members of ``keys``.

    Below a member of ``whole`` (tool arguments: an object of any shape) every string counts, whatever its key. So does
    ``data`` beside ``"type": "text"`` (a plain document of Anthropic's; other types are base64).
    """
    return list(_texts(value, keys, whole))


def _texts(value: Any, keys: frozenset[str], whole: frozenset[str]) -> Iterator[str]:
    # A stack of our own: nesting is up to whoever wrote the body.
    stack: list[tuple[Any, bool]] = [(value, False)]
    while stack:
        current, every = stack.pop()
        if isinstance(current, str):
            if current:
                yield current
        elif isinstance(current, list):
            stack.extend((item, every) for item in reversed(current))
        elif isinstance(current, dict):
            stack.extend(
                (item, every or (key in whole and not isinstance(item, str)))
                for key, item in reversed(current.items())
                if every or key in keys or key in whole or _is_plain_source(current, key)
            )


def _is_plain_source(value: Mapping[str, Any], key: str) -> bool:
    return key == "data" and value.get("type") == "text"


def _without_surrogates(value: Any) -> Any:
    """``value`` with every lone surrogate as U+FFFD, so that its strings can be encoded again."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
