"""Notes of a zone: texts and numbers that its requests have, in bytes, and which requests can have what is looked for.

A request is known by its place: its number less that of the zone's first. Of what is rare it is noted which requests
have it: of a text, or a number among few, that at most `RARE` have, and of the `EDGE` least and greatest numbers.
Where texts are too many to be noted, a mark of three bytes of each says which requests can have a certain one.
"""

from __future__ import annotations

import struct
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, repeat
from typing import Final

import msgspec

from helicone_gw_logging.zone_codes import Codes, code_texts

PROPERTY_NAME: Final = "property:"
"""What the key of a property (in lower case) follows in the name of its texts."""
ANY_PROPERTY: Final = "property"
"""The name whose texts are unknown where a zone has more keys than are noted."""
MOST: Final = 1000
"""Different texts of a zone that are noted at most."""
MOST_TEXT: Final = 32_768
"""Characters of all of them together."""
RARE: Final = 32
"""Requests of which it is noted that they have a text, or a number among few, at most."""
FEW_NUMBERS: Final = 32
"""Different numbers of a column that are told apart at most; of more, the least and the greatest are."""
EDGE: Final = 16
"""How many of these."""
SMALL: Final = 512
"""Requests of an organization in a zone up to which it is not noted which have what: they are as soon read."""

Places = frozenset[int] | None
"""Places of requests in a zone; ``None``: it can be any."""
Interval = tuple[float | None, float | None]
"""The least and the greatest number that is looked for, each included; ``None`` is no bound."""

_MARK: Final = 3
_Span = tuple[int, int, list[int] | None]
"""From a number to another one, and the places of those that have such a number; ``None``: not noted."""


def is_small(requests: int) -> bool:
    """Whether so many requests of an organization in a zone are as soon read."""
    return requests <= SMALL


class Texts:
    """Gathers the texts of one column of a zone, one organization's."""

    def __init__(self) -> None:
        self._places: dict[str, list[int]] = {}
        self._length = 0
        # Of what is too much to be kept: a mark of each text, and its place.
        self._marks: list[tuple[bytes, int]] = []

    def add(self, texts: Sequence[str | None], places: Sequence[int]) -> None:
        """Add the texts of the requests in ``places``."""
        first = texts[0]
        if texts.count(first) == len(texts):
            if first is not None:
                self._add(first, places)
            return
        for text, place in zip(texts, places, strict=True):
            if text is None:
                continue
            there = self._places.get(text)
            if there is None:
                self._add(text, (place,))
            else:
                there.append(place)

    def _add(self, text: str, places: Sequence[int]) -> None:
        there = self._places.get(text)
        if there is not None:
            there += places
        elif len(self._places) < MOST and self._length + len(text) <= MOST_TEXT:
            self._places[text] = [*places]
            self._length += len(text)
        else:
            self._marks += zip(repeat(_mark(text)), places, strict=False)

    def packed(self, requests: int) -> tuple[bytes | None, bytes | None] | None:
        """``texts`` and ``places`` of `noted.TEXT_ZONE`, of an organization with so many; ``None``: there are none."""
        if self._marks:
            marks = self._marks.copy()
            for text, places in self._places.items():
                marks += zip(repeat(_mark(text)), places, strict=False)
            marks.sort()
            return None, b"".join([mark for mark, _ in marks]) + _packed_places([place for _, place in marks])
        if not self._places:
            return None
        told = not is_small(requests)
        return _pack_texts(
            {text: places if told and len(places) <= RARE else () for text, places in self._places.items()}
        )

    def coded(self, unknown: bytes) -> Codes:
        """Their codes; ``unknown`` are those of a column without any (`zone_codes.everyone`)."""
        return code_texts(self._places, [place for _, place in self._marks], RARE, unknown)


def _pack_texts(there: Mapping[str, Sequence[int]]) -> tuple[bytes | None, bytes | None]:
    """Texts and the places of those that have each; none: any may."""
    texts = sorted(there)
    several = [there[text] for text in texts]
    plain = bytes(map(len, several)) + _packed_places([*chain.from_iterable(several)])
    return zlib.compress(msgspec.json.encode(texts), 1), zlib.compress(plain, 1) if any(several) else None


def places_of_text(texts: bytes | None, places: bytes | None, wanted: Wanted) -> Places:
    """Where requests can be that have what is ``wanted``; none where the set is empty."""
    if texts is None:
        if places is None or wanted.whole is None:
            return None
        return _marked(places, wanted.whole)
    found = wanted.found_in(texts)
    if not found:
        return frozenset()
    if places is None:
        return None
    lengths, starts, all_places = _unpacked_places(places, len(_texts(texts)))
    several: list[int] = []
    for number in found:
        if not lengths[number]:
            return None
        several += all_places[starts[number] : starts[number] + lengths[number]]
    return frozenset(several)


def known_texts(texts: bytes) -> Sequence[str]:
    """All texts that are noted."""
    return _texts(texts)


def rare_places(texts: bytes, places: bytes | None, holds: Callable[[str], bool]) -> list[int]:
    """Where requests are whose text is one of those that few have, and of which ``holds`` is true."""
    if places is None:
        return []
    there = _texts(texts)
    lengths, starts, all_places = _unpacked_places(places, len(there))
    found: list[int] = []
    for number, length in enumerate(lengths):
        if length and holds(there[number]):
            found += all_places[starts[number] : starts[number] + length]
    return found


class Wanted:
    """A text that is looked for: one of ``whole`` as it is, or else (``None``) with one of ``parts``, in any case and
    with any accents."""

    def __init__(self, parts: Iterable[str], whole: Collection[str] | None = None) -> None:
        self.parts = [folded(part) for part in parts]
        self.whole = None if whole is None else frozenset(whole)
        # Zones have the same texts again and again.
        self._known: dict[bytes, list[int]] = {}

    def found_in(self, texts: bytes) -> list[int]:
        """The numbers of the texts that are such."""
        found = self._known.get(texts)
        if found is None:
            there: Iterable[str]
            if self.whole is not None:
                there, matches = _texts(texts), self._is_one
            else:
                there, matches = _folded_texts(texts), self._has_part
            found = self._known[texts] = [number for number, text in enumerate(there) if matches(text)]
        return found

    def holds(self, text: str) -> bool:
        """Whether ``text`` is such."""
        return text in self.whole if self.whole is not None else self._has_part(folded(text))

    def _is_one(self, text: str) -> bool:
        return self.whole is not None and text in self.whole

    def _has_part(self, text: str) -> bool:
        return any(part in text for part in self.parts)


def pack_numbers(columns: Mapping[str, Sequence[int | None]], places: Sequence[int]) -> bytes:
    """``numbers`` of `noted.NUMBER_ZONE`: all columns of the requests in ``places``; what is unknown is no number."""
    noted = {name: _spans(numbers, places) for name, numbers in columns.items() if numbers.count(None) < len(numbers)}
    return msgspec.msgpack.encode(noted)


def without(numbers: bytes, names: Collection[str]) -> bytes:
    """The same, with nothing noted of the columns ``names``: any number may be there."""
    return msgspec.msgpack.encode({**_RAW.decode(numbers), **dict.fromkeys(names)})


def places_of_number(numbers: bytes, name: str, intervals: Sequence[Interval]) -> Places:
    """Where requests can be whose number in column ``name`` is in one of ``intervals``; none where the set is empty."""
    there = _RAW.decode(numbers)
    if name not in there:
        return frozenset()
    spans = _SPANS.decode(there[name])
    if spans is None:
        return None
    found: list[int] = []
    for least, greatest, places in spans:
        if any((low is None or greatest >= low) and (high is None or least <= high) for low, high in intervals):
            if places is None:
                return None
            found += places
    return frozenset(found)


_RAW = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
_SPANS = msgspec.msgpack.Decoder(list[_Span] | None)


def _spans(numbers: Sequence[int | None], places: Sequence[int]) -> list[_Span]:
    different = {number for number in {*numbers} if number is not None}
    if is_small(len(numbers)):
        # Truth is a number, too, whatever a driver makes of it.
        return [(int(min(different)), int(max(different)), None)]
    if len(different) <= FEW_NUMBERS:
        counts = Counter(numbers)
        rare = {number for number in different if counts[number] <= RARE}
        each: dict[int, list[int]] = {number: [] for number in rare}
        if rare:
            for number, place in zip(numbers, places, strict=True):
                if number in rare:
                    each[number].append(place)
        return [(int(number), int(number), each.get(number)) for number in sorted(different)]
    # Of the middle it is noted where it begins and ends, and nothing more.
    known = sorted([int(number) for number in numbers if number is not None])
    first, last = known[min(EDGE, len(known) - 1)], known[max(0, len(known) - EDGE - 1)]
    edges: list[_Span] = sorted(
        [
            (int(number), int(number), [place])
            for number, place in zip(numbers, places, strict=True)
            if number is not None and (number < first or number > last)
        ]
    )
    return [(first, last, None), *edges] if first <= last else edges


def folded(said: str) -> str:
    """A text without cases and accents: what any database takes for alike becomes the same, character by character."""
    if said.isascii():
        return said.lower()
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFD", said).casefold())
    return "".join(each for each in plain if not unicodedata.combining(each))


@lru_cache(maxsize=256)
def _texts(texts: bytes) -> tuple[str, ...]:
    return tuple(msgspec.json.decode(zlib.decompress(texts), type=list[str]))


@lru_cache(maxsize=256)
def _folded_texts(texts: bytes) -> tuple[str, ...]:
    return tuple(map(folded, _texts(texts)))


def _mark(text: str) -> bytes:
    return (zlib.crc32(text.encode()) & 0xFFFFFF).to_bytes(_MARK, "little")


def _marked(data: bytes, wanted: Iterable[str]) -> frozenset[int]:
    count = len(data) // (_MARK + 2)
    found: list[int] = []
    for mark in {_mark(text) for text in wanted}:
        at = data.find(mark, 0, _MARK * count)
        while at >= 0:
            if at % _MARK == 0:
                found += struct.unpack_from("<H", data, _MARK * count + at // _MARK * 2)
            at = data.find(mark, at + 1, _MARK * count)
    return frozenset(found)


def _packed_places(places: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(places)}H", *places)


def _unpacked_places(data: bytes, count: int) -> tuple[bytes, list[int], tuple[int, ...]]:
    """How many places each of so many texts has, where these begin, and all of them."""
    plain = zlib.decompress(data)
    lengths, starts, at = plain[:count], list[int](), 0
    for length in lengths:
        starts.append(at)
        at += length
    return lengths, starts, struct.unpack_from(f"<{at}H", plain, count)
