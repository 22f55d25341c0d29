"""Ids of a zone, in few bytes: a part of one is looked for in these, and not in an index of all ids, whose entries are
gone through one by one.

Nearly all ids are UUIDs, or other hexadecimal digits with dashes between. Those of one length are packed, two digits a
byte, one behind the other; dashes are left out, of what is looked for as well. Others are kept without their cases.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

import msgspec
from msgspec import Struct

from helicone_gw_logging.zone_notes import Places, folded

IDS: Final = "ids:"
"""What the column follows in the name under which its ids are noted."""
LEAST: Final = 3
"""Digits of a part that is looked for; nearly every zone has what is shorter."""

_END: Final = "\0"  # no text that is stored has it
_DIGITS: Final = re.compile(r"[0-9a-f-]+", re.ASCII | re.IGNORECASE)


class _Ids(Struct, frozen=True, array_like=True):
    """``packed`` has ids of ``length`` bytes each, ``places`` where these are; ``others`` are texts."""

    length: int
    packed: bytes
    places: bytes
    others: str
    other_places: bytes


_DECODER: Final = msgspec.msgpack.Decoder(_Ids)


def pack_ids(ids: Sequence[str], places: Sequence[int]) -> bytes:
    """``places`` of `noted.TEXT_ZONE` under the name of ids: those of the requests in these places."""
    digits = [*map(_packed, ids)]
    lengths = Counter(len(each) for each in digits if each)
    length = max(lengths, key=lambda each: lengths[each], default=0)
    packed, there, others, elsewhere = list[bytes](), list[int](), list[str](), list[int]()
    for whole, each, place in zip(ids, digits, places, strict=True):
        if length and len(each) == length:
            packed.append(each)
            there.append(place)
        else:
            others.append(folded(whole))
            elsewhere.append(place)
    noted = _Ids(length, b"".join(packed), _two_bytes(there), _END.join(others), _two_bytes(elsewhere))
    return msgspec.msgpack.encode(noted)


def _two_bytes(places: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(places)}H", *places)


def _at(places: bytes, numbers: Iterable[int]) -> set[int]:
    return {struct.unpack_from("<H", places, 2 * number)[0] for number in numbers}


def _packed(whole: str) -> bytes:
    """The digits of an id; none where it is of something else, or half a byte would be left."""
    digits = whole.replace("-", "")
    return bytes.fromhex(digits) if len(digits) % 2 == 0 and _DIGITS.fullmatch(whole) else b""


def places_of_part(data: bytes, part: str) -> Places:
    """Where requests can be whose id contains ``part``, in any case; ``None``: anywhere, it is too short."""
    noted, wanted = _DECODER.decode(data), folded(part)
    found = _at(noted.other_places, _of_others(noted.others, wanted)) if noted.other_places else set[int]()
    if noted.length and _DIGITS.fullmatch(wanted):
        digits = wanted.replace("-", "")
        if len(digits) < LEAST:
            return None
        found |= _at(noted.places, chain(_found(noted, digits, 0), _found(noted, digits, 1)))
    return frozenset(found)


def _of_others(ids: str, wanted: str) -> Iterator[int]:
    """The numbers of ids that contain what is ``wanted``."""
    number = last = 0
    at = ids.find(wanted)
    while at >= 0:
        number += ids.count(_END, last, at)
        yield number
        last = ids.find(_END, at)
        at = ids.find(wanted, last + 1) if last >= 0 else -1


def _found(noted: _Ids, digits: str, half: int) -> Iterator[int]:
    """The numbers of ids that contain ``digits``, which begin a byte (``half`` is 0) or half of one (1)."""
    packed, length = noted.packed, noted.length
    end = half + (len(digits) - half) // 2 * 2
    whole = bytes.fromhex(digits[half:end])
    before = int(digits[0], 16) if half else None
    behind = int(digits[end], 16) if end < len(digits) else None
    at = packed.find(whole)
    while at >= 0:
        first, last = at - half, at + len(whole) - (behind is None)
        # Of one id, and not of the end of one and the beginning of the next.
        if (
            first // length == last // length
            and (before is None or (first >= 0 and packed[first] & 15 == before))
            and (behind is None or (last < len(packed) and packed[last] >> 4 == behind))
        ):
            yield first // length
        at = packed.find(whole, at + 1)
