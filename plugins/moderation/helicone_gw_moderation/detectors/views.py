"""Views: a text read as whoever hid something in it meant it to be read, with the way back to its own offsets."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from itertools import accumulate

from helicone_gw_moderation.detectors.encodings import decoded

Span = Callable[[int, int], tuple[int, int]]
"""Where ``text[start:end]`` of a view stands in the original."""


@dataclass(slots=True, frozen=True)
class View:
    """Another reading of a text.

    ``edges``: whether words still have their spaces. ``skeleton``: whether letters were folded further, so that only
    patterns folded alike can match. ``folded``: whether it was made from a folded text.
    """

    name: str
    text: str
    span: Span
    edges: bool = True
    skeleton: bool = False
    folded: bool = True


LEET = str.maketrans("01345789@$|l", "oieastbgasii")
"""Digits and signs to the letters that they stand for; ``l`` and ``i`` become one, since ``1`` stands for both."""

_LEET = re.compile(r"[013457@$|](?:(?<=[a-z].)[a-z013457@$|]|(?<![a-z0-9].)[a-z][a-z013457@$])")
_SPACED = re.compile(r"(?<![^\W_])[^\W_](?:[ ._*\-]{1,3}[^\W_](?![^\W_])){5,}+")
_ESCAPES = re.compile(
    r"%([0-9a-fA-F]{2})|&#([0-9]{2,6});|&#[xX]([0-9a-fA-F]{2,5});|\\u\{?([0-9a-fA-F]{4,6})\}?|\\x([0-9a-fA-F]{2})"
)


_ROT13 = str.maketrans("abcdefghijklmnopqrstuvwxyz", "nopqrstuvwxyzabcdefghijklm")


def rot13(folded: str) -> str:
    """Every letter as the one 13 places on."""
    return folded.translate(_ROT13)


def views(text: str, folded: str, origin: Span, wanted: Container[str]) -> Iterator[View]:
    """Every other reading of ``text`` that there is reason to try; "rot13" and "reversed" when ``wanted``.

    ``folded`` is its plain view and ``origin`` the way from there to ``text``. Together they are at most a fixed
    multiple of its length.
    """
    if "rot13" in wanted:
        yield View("rot13", rot13(folded), origin)
    if "reversed" in wanted:
        size = len(folded)
        yield View("reversed", folded[::-1], lambda start, end: origin(size - end, size - start))
    if _LEET.search(folded):
        yield View("leet", folded.translate(LEET), origin, skeleton=True)
    for run in _SPACED.finditer(folded):
        yield _spaced(run, origin)
    if ("%" in text or "&#" in text or "\\" in text) and _ESCAPES.search(text):
        yield _unescaped(text)
    for name, plain, span in decoded(text):
        yield View(name, plain, span, folded=False)


def _spaced(run: re.Match[str], origin: Span) -> View:
    """Letters with something between each two; where that is more than one character, a word ends."""
    whole, first = run.group(), run.start()
    letters: list[str] = []
    places: list[int] = []
    last = -1
    for index, char in enumerate(whole):
        if char.isalnum():
            if last >= 0 and index - last > 2:
                letters.append(" ")
                places.append(first + last + 1)
            letters.append(char)
            places.append(first + index)
            last = index
    view = "".join(letters)
    # Without such ends all words have run together, and any letter that stood before is part of the first one.
    return View("spaced", view, lambda start, end: origin(places[start], places[end - 1] + 1), edges=False)


def _unescaped(text: str) -> View:
    """The text with the escapes of URLs, HTML, JSON and C undone."""
    parts: list[str] = []
    widths: list[int] = []
    octets = bytearray()
    octet_widths: list[int] = []

    def flush() -> None:
        # Percent and \x escapes are bytes of UTF-8; what is not is read byte by byte.
        try:
            chars = octets.decode()
        except UnicodeDecodeError:
            chars = octets.decode("latin-1")
        at = 0
        for char in chars:
            size = len(char.encode()) if len(chars) != len(octets) else 1
            parts.append(char)
            widths.append(sum(octet_widths[at : at + size]))
            at += size
        octets.clear()
        octet_widths.clear()

    done = 0
    for escape in _ESCAPES.finditer(text):
        start, end = escape.span()
        if start > done:
            flush()
            parts.append(text[done:start])
            widths.extend([1] * (start - done))
        percent, decimal, hexadecimal, unicode_escape, byte = escape.groups()
        if (octet := percent or byte) is not None:
            octets.append(int(octet, 16))
            octet_widths.append(end - start)
        else:
            flush()
            code = int(decimal) if decimal else int(hexadecimal or unicode_escape, 16)
            parts.append(chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd")
            widths.append(end - start)
        done = end
    flush()
    parts.append(text[done:])
    widths.extend([1] * (len(text) - done))
    starts = [0, *accumulate(widths)]
    return View("escaped", "".join(parts), lambda start, end: (starts[start], starts[end]), folded=False)
