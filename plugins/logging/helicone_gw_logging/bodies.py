"""Bodies: from what was captured to what is stored (decoded, redacted, cut, compressed), and back."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Sequence
from typing import Literal

import msgspec
import zstandard
from msgspec import Struct

from helicone_gw_logging.record import RawBody
from helicone_gw_logging.redact import OVERLAP, redact

BodyState = Literal["whole", "truncated", "omitted", "unreadable", "dropped"]

_LEVEL = 1  # as small as at 3 within a few per cent, in a fraction of the time
_MAX_STORED = 1 << 30
_of_thread = threading.local()  # a compressor is dear to make and must not be shared between threads


class StoredBody(Struct, frozen=True):
    """A body as it lies in the database: ``data`` is a zstd frame, or ``None`` when there is nothing to keep."""

    data: bytes | None
    state: BodyState


def pack(body: RawBody, secrets: Sequence[bytes], max_body: int, *, clean: bool = False) -> StoredBody:
    """What is stored of ``body``: at most ``max_body`` bytes of it, without credentials.

    ``clean``: it was searched already, and has none.

    A body in a content coding that cannot be read (or that is damaged) is not stored: what cannot be read cannot be
    redacted. Meant for a thread: it takes milliseconds for a large body.
    """
    if clean and len(body.data) <= max_body and not (body.omitted or body.content_encoding or body.cut):
        return StoredBody(_compress(body.data) if body.data else None, "whole")
    if body.omitted:
        return StoredBody(_compress(redact(msgspec.json.encode({"model": body.model}), secrets)), "omitted")
    plain = _decode(body, max_body + OVERLAP)
    if plain is None:
        return StoredBody(None, "unreadable")
    data, cut = plain
    # Cut only after redaction: a key that the limit divides would not be recognised any more.
    if not clean:
        data = redact(data, secrets, cut=cut)
    truncated = cut or len(data) > max_body
    return StoredBody(_compress(data[:max_body]) if data else None, "truncated" if truncated else "whole")


def unpack(data: bytes | None) -> bytes | None:
    """The bytes of a stored body. Raises zstandard's ``ZstdError`` for anything that `pack` did not make."""
    return None if data is None else zstandard.ZstdDecompressor().decompress(data, max_output_size=_MAX_STORED)


def _compress(data: bytes) -> bytes:
    compressor: zstandard.ZstdCompressor | None = getattr(_of_thread, "compressor", None)
    if compressor is None:
        compressor = _of_thread.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    return compressor.compress(data)


def _decode(body: RawBody, limit: int) -> tuple[bytes, bool] | None:
    """At most ``limit`` bytes without content coding (RFC 9110 8.4), and whether something is missing."""
    encoding = (body.content_encoding or "").strip().lower()
    if encoding in ("", "identity") or not body.data:
        return body.data[:limit], body.cut or len(body.data) > limit
    try:
        if encoding in ("gzip", "x-gzip", "deflate"):
            inflater = zlib.decompressobj(47)  # 32 + 15: detects gzip and zlib headers
            data = inflater.decompress(body.data, limit)
            return data, body.cut or not inflater.eof
        if encoding == "zstd":
            with zstandard.ZstdDecompressor().stream_reader(body.data) as reader:
                data = reader.read(limit + 1)
            return data[:limit], body.cut or len(data) > limit
    except (zlib.error, zstandard.ZstdError):
        pass
    # Somebody may have decoded it and left the header. Compressed data is never text, so this tells them apart.
    return (body.data[:limit], body.cut or len(body.data) > limit) if _is_text(body.data) else None


def _is_text(data: bytes) -> bool:
    # A capture may end inside a character: up to three bytes of it are forgiven.
    for end in range(len(data), max(len(data) - 4, -1), -1):
        try:
            return "\0" not in data[:end].decode("utf-8")
        except UnicodeDecodeError:
            continue
    return False
