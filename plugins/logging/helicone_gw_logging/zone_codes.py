"""Codes of a zone: for each of its requests a byte that says what it has in a column, so that what many have of one
column, many of another, and few of both is found without reading all of these, and so is what hardly any request lacks.

A text that many have (more than `zone_notes.RARE`) has a code of its own, and so has every number, or every span of
numbers with a few dozen requests, where numbers are too many. A request is known by its place, as in
`helicone_gw_logging.zone_notes`.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec
from msgspec import Struct

CODES: Final = "codes:"
"""What a column, or property, follows in the name under which its codes are noted."""
NOBODY: Final = 0
"""Of a place with no request, or another organization's."""
UNKNOWN: Final = 1
OTHER: Final = 255
"""A text that has no code of its own."""
FIRST: Final = 2
"""The code of the first of ``values``; those of the others follow."""
MOST: Final = OTHER - FIRST
"""Texts, or spans of numbers, that have a code at most."""
DENSER: Final = 8
"""What is compressed to so small a part is read sooner than what is not; unpacking anything else takes longer than it
saves."""

Mask = int
"""A byte for each place, the least for the first: 1 where it can be, else 0."""


class Codes(Struct, frozen=True, array_like=True):
    """What is noted of a column: ``places`` has a code for each place, ``texts`` what these stand for, or ``spans``.

    These are of numbers, and ascend: the least that each code means, and behind all of these the greatest.
    """

    places: bytes
    texts: list[str] = []
    spans: bytes = b""

    def of_texts(self, holds: Callable[[str], bool]) -> set[int]:
        """The codes of texts of which ``holds`` is true."""
        return {code for code, text in enumerate(self.texts, FIRST) if holds(text)}

    def of_numbers(self, low: float | None, high: float | None) -> range:
        """The codes that can mean a number from ``low`` to ``high``, each included; ``None`` is no bound."""
        numbers = _numbers(self.spans)
        count = len(numbers) // 2
        first = 0 if low is None else bisect_left(numbers, low, count) - count
        return range(FIRST + first, FIRST + (count if high is None else bisect_right(numbers, high, 0, count)))

    def within(self, low: float | None, high: float | None) -> set[int]:
        """The codes that mean no other number than one from ``low`` to ``high``."""
        there = self.of_numbers(low, high)
        outer = {code for code in (*there[:1], *there[-1:]) if not self._is_within(code, low, high)}
        return {*there} - outer

    def _is_within(self, code: int, low: float | None, high: float | None) -> bool:
        least, greatest = self.span(code)
        return (low is None or low <= least) and (high is None or greatest <= high)

    def of_number(self, number: float) -> set[int]:
        """The codes that mean this number and no other."""
        return {code for code in self.of_numbers(number, number) if self.span(code) == (number, number)}

    def span(self, code: int) -> tuple[int, int]:
        """The least and the greatest number that a code means."""
        numbers = _numbers(self.spans)
        return numbers[code - FIRST], numbers[len(numbers) // 2 + code - FIRST]

    @property
    def known(self) -> range:
        """All codes that mean something."""
        return range(FIRST, FIRST + max(len(self.texts), len(self.spans) // 16))


def _numbers(spans: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(spans) // 8}q", spans)


def everyone(places: Sequence[int]) -> bytes:
    """Codes of a column that is unknown of all requests, which are in these ``places`` and ascend."""
    if places[-1] - places[0] + 1 == len(places):
        return bytes(places[0]) + bytes((UNKNOWN,)) * len(places)
    codes = bytearray(places[-1] + 1)
    for place in places:
        codes[place] = UNKNOWN
    return bytes(codes)


def code_texts(there: Mapping[str, Sequence[int]], others: Iterable[int], many: int, unknown: bytes) -> Codes:
    """The codes of texts, each with its places, and of ``others``, which have texts that are none of these.

    A text has a code of its own that more than ``many`` requests have. ``unknown``: codes that say nothing.
    """
    codes, texts = bytearray(unknown), list[str]()
    for text, places in there.items():
        code = OTHER
        if len(places) > many and len(texts) < MOST:
            code = FIRST + len(texts)
            texts.append(text)
        for place in places:
            codes[place] = code
    for place in others:
        codes[place] = OTHER
    return Codes(bytes(codes), texts)


def code_numbers(numbers: Sequence[int | None], places: Sequence[int]) -> Codes:
    """The codes of numbers (truth is one; ``None``: unknown) of the requests in ``places``, which ascend."""
    different = sorted({int(number) for number in {*numbers} if number is not None})
    begins = different if len(different) <= MOST else _begins(numbers)
    ends, code_of = [*begins], dict[int | None, int]({None: UNKNOWN})
    for number in different:
        at = bisect_right(begins, number) - 1
        code_of[number], ends[at] = FIRST + at, number
    spans = struct.pack(f"<{2 * len(begins)}q", *begins, *ends)
    found = bytes(map(code_of.__getitem__, numbers))
    if places[-1] - places[0] + 1 == len(places):
        return Codes(bytes(places[0]) + found, spans=spans)
    codes = bytearray(places[-1] + 1)
    for place, code in zip(places, found, strict=True):
        codes[place] = code
    return Codes(bytes(codes), spans=spans)


def _begins(numbers: Iterable[int | None]) -> list[int]:
    """Where spans begin that have about as many requests each; a number that many have is one by itself."""
    known = sorted([int(number) for number in numbers if number is not None])
    some = known[:: len(known) // MOST + 1]
    return sorted({*some, *(one + 1 for one, following in pairwise(some) if one == following < known[-1])})


def pack_codes(codes: Codes) -> bytes:
    """``places`` of `noted.TEXT_ZONE` under the name of codes."""
    plain = msgspec.msgpack.encode(codes)
    packed = zlib.compress(plain, 1)
    return b"z" + packed if DENSER * len(packed) <= len(plain) else b"p" + plain


def unpack_codes(data: bytes) -> Codes:
    """What `pack_codes` made that of."""
    return _DECODER.decode(zlib.decompress(data[1:]) if data[:1] == b"z" else memoryview(data)[1:])


_DECODER = msgspec.msgpack.Decoder(Codes)


def mask_of_codes(codes: Codes, wanted: Collection[int]) -> Mask:
    """Where requests have one of these codes."""
    table = bytearray(256)
    for code in wanted:
        table[code] = 1
    return int.from_bytes(codes.places.translate(table), "little")


def mask_of_places(places: Collection[int]) -> Mask:
    """These places."""
    marks = bytearray(max(places, default=-1) + 1)
    for place in places:
        marks[place] = 1
    return int.from_bytes(marks, "little")


def places_of_mask(mask: Mask) -> frozenset[int]:
    """All places of ``mask``."""
    marks = mask.to_bytes((mask.bit_length() + 7) // 8, "little")
    found: list[int] = []
    at = marks.find(1)
    while at >= 0:
        found.append(at)
        at = marks.find(1, at + 1)
    return frozenset(found)
