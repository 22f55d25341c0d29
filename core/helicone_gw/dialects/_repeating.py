"""Repeating: tells events of a stream that are those before them all over again, but for the text that they carry.

A model's answer comes as hundreds of events of which only a word differs. Those need not be decoded: whatever else they
say, the first of them said it already.
"""

from __future__ import annotations

import re

_TEXTS = re.compile(
    rb'"(?:content|text|thinking|reasoning|reasoning_content|partial_json|arguments|refusal|obfuscation)":"'
    rb'(?=([^"\\]*)")'
)
_MOST_TEXTS = 2
_PATIENCE = 4


class Repeating:
    """Compares events with one that was read: all must be the same to the byte, except one or two strings of JSON.

    Those strings may not hold a quote, so that they cannot be anything but strings. A stream whose events do not repeat
    is given up after a few, and costs nothing more.
    """

    __slots__ = ("_first", "_inside", "_last", "_patience")

    def __init__(self) -> None:
        self._patience = _PATIENCE
        # An event is _first, a text, perhaps _inside and another text, and _last. Both of the latter begin with the
        # quote that ends a text.
        self._first = self._inside = self._last = b""

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

    def forget(self) -> None:
        """What the event that was learned says is no longer the last that was said of it."""
        self._first = b""

    def span(self, events: bytes, start: int = 0) -> int:
        """How many bytes of ``events`` (whole ones) from ``start`` on are events like the one that was learned."""
        first, inside, last = self._first, self._inside, self._last
        if not first:
            return 0
        # A handful of steps for each event, which stay where the processor has them at hand.
        starts, find = events.startswith, events.find
        before, between, behind = len(first), len(inside), len(last)
        at = start
        while starts(first, at):
            end = find(b'"', at + before)
            if inside:
                if not starts(inside, end):
                    break
                end = find(b'"', end + between)
            if not starts(last, end):
                break
            at = end + behind
        if at > start:
            self._patience = _PATIENCE
        return at - start
