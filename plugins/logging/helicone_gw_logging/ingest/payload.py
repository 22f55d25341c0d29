"""Payload: the body of a log call, its content coding undone, within bounds; and its JSON, as lenient as can be."""

from __future__ import annotations

import json
import zlib
from typing import Any

import msgspec
import zstandard

MAX_PAYLOAD = 10 << 20
"""Bytes of a log call's body (contract 1.5), counted as JSON without white space and without escapes."""
_MAX_RAW = 3 * MAX_PAYLOAD


class TooLarge(ValueError):
    """More than `MAX_PAYLOAD`."""


class Unreadable(ValueError):
    """Not in the coding, or not the JSON, that it says it is."""


def decoded(body: bytes, coding: str | None) -> bytes:
    """``body`` without its content coding (RFC 9110 8.4): gzip, deflate, zstd. Raises `TooLarge`, `Unreadable`."""
    name = (coding or "identity").strip().lower()
    if name in ("identity", ""):
        plain = body[: _MAX_RAW + 1]
    elif name in ("gzip", "x-gzip", "deflate"):
        plain = _inflated(body)
    elif name == "zstd":
        try:
            with zstandard.ZstdDecompressor().stream_reader(body) as reader:
                plain = reader.read(_MAX_RAW + 1)
        except zstandard.ZstdError:
            raise Unreadable("The body is not in the content coding that it says.") from None
    else:
        raise Unreadable("The body's content coding must be gzip, deflate or zstd.")
    if len(plain) > _MAX_RAW:
        raise TooLarge("Payload too large")
    return plain


def as_json(body: bytes) -> Any:
    """The JSON value in ``body``. A lone surrogate in it is read as U+FFFD. Raises `TooLarge`, `Unreadable`."""
    value = _parsed(body)
    # Many libraries escape everything beyond ASCII: it is not the escapes that make it too large.
    if len(body) > MAX_PAYLOAD and len(msgspec.json.encode(value)) > MAX_PAYLOAD:
        raise TooLarge("Payload too large")
    return value


def _parsed(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise Unreadable("The JSON is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeError):
        pass
    try:
        again = json.dumps(json.loads(body), ensure_ascii=False).encode("utf-16", "surrogatepass")
        return msgspec.json.decode(again.decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        raise Unreadable("The body is not valid JSON.") from None


def _inflated(body: bytes) -> bytes:
    inflater = zlib.decompressobj(47)  # 32 + 15: detects gzip and zlib headers
    try:
        plain = inflater.decompress(body, _MAX_RAW + 1)
    except zlib.error:
        raise Unreadable("The body is not in the content coding that it says.") from None
    if not inflater.eof and len(plain) <= _MAX_RAW:
        raise Unreadable("The body is cut short.")
    return plain
