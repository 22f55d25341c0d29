"""Forms: the parts of a multipart/form-data body (RFC 7578), read strictly: what another parser may read differently is
no form."""

from __future__ import annotations

import re
from typing import NamedTuple

MOST_PARTS = 1000
"""Parts of one form; with more it is not read."""

_BOUNDARY = re.compile(r";\s*boundary=(?:\"([^\"\\]{1,70})\"|([^\s;\",]{1,70}))", re.IGNORECASE)
_HEADER = re.compile(rb"([A-Za-z-]{1,40}):[ \t]*([^\r\n]{0,2000})")
_PARAMETER = re.compile(rb';\s*(name|filename)="([^"\r\n]{0,500})"')
_KNOWN = frozenset({b"content-disposition", b"content-type", b"content-length"})


class Part(NamedTuple):
    """One field: its value stands at ``body[start:end]``, what its file is called, if anything, at ``called``.

    ``kind`` is its content type in lower case, "" where it has none.
    """

    kind: str
    start: int
    end: int
    called: tuple[int, int] | None


def parts(body: bytes, content_type: str) -> list[Part] | None:
    """The parts of ``body``, in order; ``None`` where it is not exactly as RFC 7578 has it."""
    found = _BOUNDARY.findall(content_type)
    if len(found) != 1:
        return None
    delimiter = b"--" + (found[0][0] or found[0][1]).encode("latin-1", "replace")
    if not body.startswith(delimiter + b"\r\n"):
        return None
    read: list[Part] = []
    at = len(delimiter) + 2
    while True:
        end = body.find(b"\r\n" + delimiter, at)
        head = body.find(b"\r\n\r\n", at, end + 4) if end >= 0 else -1
        if head < 0 or len(read) >= MOST_PARTS:
            return None
        part = _part(body, at, head, end)
        if part is None:
            return None
        read.append(part)
        at = end + 2 + len(delimiter)
        if body[at : at + 2] != b"\r\n":
            return read if body[at:] in (b"--", b"--\r\n") else None
        at += 2


def _part(body: bytes, at: int, head: int, end: int) -> Part | None:
    seen: set[bytes] = set()
    kind = ""
    named: dict[bytes, tuple[int, int]] = {}
    for line in body[at:head].split(b"\r\n"):
        field = _HEADER.fullmatch(line)
        # A coding (Content-Transfer-Encoding) or a charset would make another text of it.
        if field is None or (name := field[1].lower()) not in _KNOWN or name in seen:
            return None
        seen.add(name)
        if name == b"content-type":
            kind = field[2].decode("latin-1").strip().lower()
        elif name == b"content-disposition":
            for parameter in _PARAMETER.finditer(line):
                if parameter[1] in named:
                    return None
                named[parameter[1]] = at + parameter.start(2), at + parameter.end(2)
        at += len(line) + 2
    return Part(kind, head + 4, end, named.get(b"filename")) if b"name" in named and end >= head + 4 else None
