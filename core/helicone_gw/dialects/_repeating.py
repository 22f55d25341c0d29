"""Repeating: tells events of a stream that are those before them all over again, but for the text that they carry.

A model's answer comes as hundreds of events of which only a word differs. Those need not be decoded: whatever else they
say, the first of them said it already.
"""

from __future__ import annotations

import re
from itertools import repeat

_TEXTS = re.compile(
    rb'"(?:content|text|thinking|reasoning|reasoning_content|partial_json|arguments|refusal|obfuscation)":"'
    rb'(?=([^"\\]*)")'
)
_MOST_TEXTS = 2
_PATIENCE = 4
_SEARCHED = 64
"""Bytes that are searched for between texts: before it looks for more than a hundred, CPython prepares a table, every
time."""


class Repeating:
    """Compares events with one that was read: all must be the same to the byte, except one or two strings of JSON.

    Those strings may not hold a quote, so that they cannot be anything but strings. A stream whose events do not repeat
    is given up after a few, and costs nothing more.
    """

    __slots__ = ("_first", "_head", "_inside", "_last", "_patience", "_quotes", "_rest")

    def __init__(self) -> None:
        self._patience = _PATIENCE
        # An event is _first, a text, perhaps _inside and another text, and _last; between two texts of two events lie
        # _last and _first, in other words _head and _rest.
        self._first = self._inside = self._last = self._head = self._rest = b""
        self._quotes = 0

    def learn(self, event: bytes) -> None:
        """``event`` (with its blank line) was read and carries text, and nothing that happens only once."""
        if not self._patience:
            self._first = b""
            return
        if not event.endswith(b"\n\n"):
            return
        self._patience -= 1
        constants: list[bytes] = []
        at = 0
        for found in _TEXTS.finditer(event):
            constants.append(event[at : found.end()])
            at = found.end(1)
        if not constants or len(constants) > _MOST_TEXTS:
            return
        self._first, self._last = constants[0], event[at:]
        self._inside = constants[1] if len(constants) > 1 else b""
        self._quotes = self._inside.count(b'"')
        seam = self._last + self._first
        self._head, self._rest = seam[:_SEARCHED], seam[_SEARCHED:]

    def forget(self) -> None:
        """What the event that was learned says is no longer the last that was said of it."""
        self._first = b""

    def span(self, events: bytes) -> int:
        """How many bytes at the beginning of ``events`` (whole ones) are events like the one that was learned."""
        first, last = self._first, self._last
        if not first or not events.startswith(first):
            return 0
        second = events.find(b"\n\n", len(first)) + 2
        if not events.startswith(first, second):
            events = events[:second]  # nothing is searched that cannot follow
        head, rest = self._head, self._rest
        text, *behind_heads = events[len(first) :].split(head)
        follows = [*map(bytes.startswith, behind_heads, repeat(rest))]
        seams = follows.index(False) if False in follows else len(follows)
        texts = [text, *behind_heads][:seams]  # each but the first one behind a _rest
        seam = len(head) + len(rest)
        whole = b"".join(texts)
        if seams and not self._inside and whole.count(b'"') == (seams - 1) * rest.count(b'"'):
            span = len(whole) + seam + (seams - 1) * len(head)
        else:
            texts = [text[len(rest) :] if number else text for number, text in enumerate(texts)]
            like = self._like(texts)
            span = sum(map(len, texts[:like])) + like * seam
        # Behind the last one that is like it there may be any other event.
        piece = events[len(first) + span :]
        behind = piece.find(last)
        if behind >= 0 and self._like([piece[:behind]]):
            span += len(first) + behind + len(last)
        if span:
            self._patience = _PATIENCE
        return span

    def _like(self, texts: list[bytes]) -> int:
        """How many of ``texts`` are, from the beginning, what may stand between ``_first`` and ``_last``."""
        inside, quotes = self._inside, self._quotes
        if not inside:
            if b'"' not in b"".join(texts):
                return len(texts)
            return next(index for index, text in enumerate(texts) if b'"' in text)
        for index, text in enumerate(texts):
            if text.count(b'"') != quotes or inside not in text:
                return index
        return len(texts)
