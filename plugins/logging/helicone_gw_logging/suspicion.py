"""Suspicion: whether a text may hold a credential at all, told in a few passes; nearly none of those logged does.

Every body of every request is held against all the forms of `redact`, which has dozens. A search for bytes takes half a
nanosecond a byte, so dozens of them cost more than the rest of the logging; this takes six or seven.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

SHORTEST_KEY = 15
"""Fewest characters of a key that begins like one: ``xoxb-`` and ten more."""

_TOKEN = bytes(range(48, 58)) + bytes(range(65, 91)) + bytes(range(97, 123)) + b"_.-"
_SHAPE = bytes(120 if byte in _TOKEN else 32 for byte in range(256))
_RUN = b"x" * SHORTEST_KEY
_REPETITIVE = 2048
_STREAMS = (b"data:", b"event:")


class Suspicion:
    """Says of a text whether one of the forms may occur in it. Its yes may be wrong, its no never is.

    Args:
        keys: what keys begin with, each followed by so many letters, digits and ``_.-`` that the key has at least
            `SHORTEST_KEY` of them.
        phrases: pairs of texts which must both occur, as they are, for another form to occur; the second may be empty.
        words: the same as single texts in lower case. One that ends in a quote, or in a backslash before one, is the
            end of a member's name in JSON; one that ends in ``=`` that of a parameter in a URL.
    """

    def __init__(
        self, *, keys: Sequence[bytes], phrases: Sequence[tuple[bytes, bytes]], words: Sequence[bytes]
    ) -> None:
        self._key = re.compile(b"|".join(map(re.escape, _without_contained(keys))))
        self._phrases = tuple(phrases)
        self._names = tuple({word.rstrip(b'"\\') for word in words if word.endswith((b'"', b"\\"))})
        self._parameters = tuple(word for word in words if word.endswith(b"="))
        self._words = _without_contained([word for word in words if not word.endswith((b'"', b"\\", b"="))])

    def __call__(self, data: bytes) -> bool:
        """Whether ``data`` is to be looked at more closely."""
        if len(data) > _REPETITIVE and data.startswith(_STREAMS) and not (b"://" in data and b"@" in data):
            # The events of a stream repeat all but their content. Only a password in a URL goes on behind a comma
            # without having begun to be one before it.
            data = b",".join(dict.fromkeys(data.split(b",")))
        return self._has_key(data) or self._has_phrase(data) or self._has_word(data.lower())

    def _has_key(self, data: bytes) -> bool:
        shape = data.translate(_SHAPE)
        start = shape.find(_RUN)
        if start < 0:
            return False
        tokens = set()
        while start >= 0:
            end = shape.find(b" ", start)
            if end < 0:
                end = len(data)
            tokens.add(data[start:end])
            start = shape.find(_RUN, end)
        return self._key.search(b" ".join(tokens)) is not None

    def _has_phrase(self, data: bytes) -> bool:
        return any(phrase in data and also in data for phrase, also in self._phrases)

    def _has_word(self, lowered: bytes) -> bool:
        if any(word in lowered for word in self._words):
            return True
        if b"=" in lowered and any(parameter in lowered for parameter in self._parameters):
            return True
        if b"\\" in lowered:
            # JSON inside a string of JSON: without backslashes it looks like the rest.
            lowered = lowered.replace(b"\\", b"")
        names = self._names
        pieces = lowered.split(b'"')
        named = [index for index, piece in enumerate(pieces) if piece.endswith(names)]
        return any(_goes_on_as_member(pieces[index + 1]) for index in named if index + 1 < len(pieces))


def _goes_on_as_member(text: bytes) -> bool:
    """Whether a colon may follow the quote that ``text`` stands behind: at once, or after blanks."""
    return text.startswith(b":") or text[:1].isspace()


def _without_contained(texts: Sequence[bytes]) -> tuple[bytes, ...]:
    """The shortest texts of which every one contains another: whatever holds a text holds one of these."""
    return tuple(text for text in dict.fromkeys(texts) if not any(other != text and other in text for other in texts))
