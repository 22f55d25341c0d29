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
_MOST_TEXTS = 4
_PATIENCE = 4


class Repeating:
    """Compares events with one that was read: everything must be the same to the byte, except some strings of JSON.

    Those strings may not hold a quote, so that they cannot be anything but strings. A stream whose events do not repeat
    is given up after a few, and costs nothing more.
    """

    __slots__ = ("_first", "_others", "_patience")

    def __init__(self) -> None:
        self._first = b""
        self._others: tuple[tuple[bytes, int], ...] = ()
        self._patience = _PATIENCE

    def learn(self, event: bytes) -> None:
        """``event`` (with its blank line) was read and carries text, and nothing that happens only once."""
        if not self._patience or not event.endswith(b"\n\n"):
            return
        self._patience -= 1
        constants: list[bytes] = []
        at = 0
        for found in _TEXTS.finditer(event):
            constants.append(event[at : found.end()])
            at = found.end(1)
        if constants and len(constants) <= _MOST_TEXTS:
            self._first = constants[0]
            self._others = tuple((constant, len(constant)) for constant in (*constants[1:], event[at:-2]))

    def __call__(self, event: bytes) -> bool:
        """Whether ``event`` (without its blank line) is like the one that was learned."""
        first = self._first
        if not first or not event.startswith(first):
            return False
        at = len(first)
        for constant, length in self._others:
            at = event.find(b'"', at)
            if at < 0 or not event.startswith(constant, at):
                return False
            at += length
        self._patience = _PATIENCE
        return at == len(event)
