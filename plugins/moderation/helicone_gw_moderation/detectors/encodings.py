"""Runs of base64 and hexadecimal in a text, decoded wherever they make text."""

from __future__ import annotations

import binascii
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise

_BASE64 = re.compile(r"[A-Za-z0-9+/_\-]{20,}+={0,2}(?:\r?\n[A-Za-z0-9+/_\-]{20,}+={0,2})*+")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[ :]?){10,}+")
_URL_SAFE = str.maketrans("-_", "+/")
_TEXT = re.compile(
    rb"(?:[\t\r\n\x20-\x7e]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}){6,}+"
)
_APART = "\n\n"
"""Between two stretches of text with bytes of no meaning between them."""

Decoded = tuple[str, str, Callable[[int, int], tuple[int, int]]]


def decoded(text: str) -> Iterator[Decoded]:
    """For every run that holds text: the encoding, the text, and the way from its offsets to those of the original.

    A run is decoded from each of its first characters, since what stands before a message moves it off its grid; so
    what is found in a run does not depend on where the run begins.
    """
    for run in _BASE64.finditer(text):
        compact, places = _compact(run)
        for shift in range(4):
            usable = len(compact) - shift - ((len(compact) - shift) % 4 == 1)
            data = compact[shift : shift + usable].translate(_URL_SAFE)
            yield from _texts("base64", binascii.a2b_base64(data + "=" * (-len(data) % 4)), places, shift, 4, 3)
    for run in _HEX.finditer(text):
        compact, places = _compact(run)
        for shift in range(2):
            usable = (len(compact) - shift) // 2 * 2
            yield from _texts("hex", binascii.unhexlify(compact[shift : shift + usable]), places, shift, 2, 1)


def _compact(run: re.Match[str]) -> tuple[str, range | list[int]]:
    """The run without line ends, spaces and padding, and where each of its characters stands."""
    whole, first = run.group(), run.start()
    if whole.isalnum():
        return whole, range(first, run.end())
    kept = [index for index, char in enumerate(whole) if char not in "\r\n= :"]
    return "".join([whole[index] for index in kept]), [first + index for index in kept]


def _texts(name: str, data: bytes, places: range | list[int], shift: int, unit: int, out: int) -> Iterator[Decoded]:
    """What of ``data`` is text, its stretches set apart; ``unit`` characters of the run are ``out`` bytes."""
    stretches = list(_TEXT.finditer(data))
    if not stretches:
        return
    texts = [stretch.group().decode("utf-8", "replace") for stretch in stretches]
    begins = [0]
    for one, _ in pairwise(texts):
        begins.append(begins[-1] + len(one) + len(_APART))

    def byte(offset: int) -> int:
        index = bisect_right(begins, offset) - 1
        within = texts[index][: offset - begins[index]]
        return stretches[index].start() + (len(within) if within.isascii() else len(within.encode()))

    def span(start: int, end: int) -> tuple[int, int]:
        first = shift + byte(start) * unit // out
        last = shift - (-(byte(end - 1) + 1) * unit // out) - 1
        return places[first], places[min(last, len(places) - 1)] + 1

    yield name, _APART.join(texts), span
