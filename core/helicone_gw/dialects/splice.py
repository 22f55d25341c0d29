"""Byte-exact edits of a JSON object: one member changes, every other byte stays as it was.

Whitespace, key order, number spelling and escapes survive. Of a name given twice the last one counts, as in every
common JSON parser, so that is the one edited. Every function raises `MalformedBody` for what is not a JSON object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import NamedTuple

import msgspec

from helicone_gw.errors import MalformedBody

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]|[\]}]', re.DOTALL)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\]}]+")
_SPACE = re.compile(rb"[ \t\n\r]*")
# An ASCII letter or underscore written as an escape: then a name may be spelled in more ways than one.
_ESCAPED_LETTER = re.compile(rb"\\u00[4-7]")


class Member(NamedTuple):
    """A member of an object and where it stands: name and colon from ``start``, its value from ``value`` to ``end``."""

    name: str
    start: int
    value: int
    end: int


def members(body: bytes, at: int = 0) -> list[Member]:
    """The members, duplicates included, of the object that begins at ``at`` (white space may come before it)."""
    found: list[Member] = []
    position = _space(body, at)
    _expect(body, position, b"{")
    position = _space(body, position + 1)
    if body[position : position + 1] == b"}":
        return found
    while True:
        name = _STRING.match(body, position)
        if name is None:
            raise _malformed()
        colon = _space(body, name.end())
        _expect(body, colon, b":")
        value = _space(body, colon + 1)
        end = _value_end(body, value)
        found.append(Member(_unquote(name.group()), position, value, end))
        position = _space(body, end)
        if body[position : position + 1] == b"}":
            return found
        _expect(body, position, b",")
        position = _space(body, position + 1)


def name_end(body: bytes, member: Member) -> int:
    """Where the name of ``member`` ends, which begins at its start."""
    name = _STRING.match(body, member.start)
    assert name is not None
    return name.end()


def elements(body: bytes, at: int) -> list[tuple[int, int]]:
    """Start and end of every element of the array that begins at ``at``."""
    found: list[tuple[int, int]] = []
    position = _space(body, at)
    _expect(body, position, b"[")
    position = _space(body, position + 1)
    if body[position : position + 1] == b"]":
        return found
    while True:
        end = _value_end(body, position)
        found.append((position, end))
        position = _space(body, end)
        if body[position : position + 1] == b"]":
            return found
        _expect(body, position, b",")
        position = _space(body, position + 1)


def last(found: list[Member], name: str) -> Member | None:
    """The member that counts under ``name``."""
    return next((member for member in reversed(found) if member.name == name), None)


def set_member(body: bytes, name: str, value: bytes, current: bytes | None, at: int = 0) -> bytes:
    """The body with member ``name`` of the object at ``at`` set to ``value`` (JSON text).

    ``current`` is the member's present text if the caller has decoded it (a `msgspec.Raw`), ``None`` if the member is
    known to be absent: with that, the usual body is not scanned. Empty: not known.
    """
    if current is None:
        return insert_member(body, name, value, at)
    start = _sole(body, name, current) if current and at == 0 else None
    if start is not None:
        return body[:start] + value + body[start + len(current) :]
    member = last(members(body, at), name)
    if member is None:
        return insert_member(body, name, value, at)
    return body[: member.value] + value + body[member.end :]


def insert_member(body: bytes, name: str, value: bytes, at: int = 0) -> bytes:
    """The body with a member put first into the object at ``at``, which must not have one of that name."""
    brace = _space(body, at)
    _expect(body, brace, b"{")
    after = brace + 1
    next_token = _space(body, after)
    empty = body[next_token : next_token + 1] == b"}"
    member = msgspec.json.encode(name) + b":" + value + (b"" if empty else b",")
    return body[:after] + member + body[after:]


def remove_members(body: bytes, names: Collection[str], at: int = 0) -> bytes:
    """The body without any member of these names in the object at ``at``."""
    found = members(body, at)
    if not any(member.name in names for member in found):
        return body
    kept = [index for index, member in enumerate(found) if member.name not in names]
    if not kept:
        return body[: found[0].start] + body[found[-1].end :]
    pieces = [body[: found[0].start]]
    for index in kept:
        # A member goes with the comma before it; what stands first after the cut keeps none.
        begin = found[index].start if index == kept[0] else found[index - 1].end
        pieces.append(body[begin : found[index].end])
    pieces.append(body[found[-1].end :])
    return b"".join(pieces)


def _sole(body: bytes, name: str, current: bytes) -> int | None:
    """Where the value of top-level member ``name`` starts, if its name occurs nowhere else; ``None`` to scan instead.

    The caller knows that the member exists at the top level. Unless a letter of its name is written as an escape, the
    name stands there in quotes; if it does so once only, it is that.
    """
    quoted = b'"' + name.encode() + b'"'
    key = body.find(quoted)
    if key < 0 or body.find(quoted, key + 1) >= 0 or _has_escaped_letter(body):
        return None
    colon = _space(body, key + len(quoted))
    start = _space(body, colon + 1)
    return start if body[colon : colon + 1] == b":" and body.startswith(current, start) else None


def _has_escaped_letter(body: bytes) -> bool:
    return b"\\u00" in body and _ESCAPED_LETTER.search(body) is not None


def _value_end(body: bytes, start: int) -> int:
    first = body[start : start + 1]
    if first == b'"':
        string = _STRING.match(body, start)
        if string is None:
            raise _malformed()
        return string.end()
    if first not in (b"{", b"["):
        scalar = _SCALAR.match(body, start)
        if scalar is None:
            raise _malformed()
        return scalar.end()
    depth = 0
    for token in _TOKEN.finditer(body, start):
        kind = body[token.start()]
        if kind in b"[{":
            depth += 1
        elif kind in b"]}":
            depth -= 1
            if depth == 0:
                return token.end()
    raise _malformed()


def _unquote(quoted: bytes) -> str:
    # json, not msgspec: a name with a lone surrogate is a name too, only never one of ours.
    try:
        return str(json.loads(quoted.decode("utf-8", "replace"), strict=False))
    except ValueError:
        raise _malformed() from None


def _space(body: bytes, position: int) -> int:
    match = _SPACE.match(body, position)
    return match.end() if match else position


def _expect(body: bytes, position: int, character: bytes) -> None:
    if body[position : position + 1] != character:
        raise _malformed()


def _malformed() -> MalformedBody:
    return MalformedBody("The request body is not a JSON object.")
