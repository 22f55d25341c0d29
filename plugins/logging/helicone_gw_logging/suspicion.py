"""Suspicion: whether a text may hold a credential at all, told in two passes; nearly none of those logged does.

Every body of every request is held against all the forms of `redact`, which has dozens: searching for one after the
other would cost more than the rest of the logging.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ahocorasick_rs import BytesAhoCorasick

_KEY_GOES_ON = re.compile(rb"[A-Za-z0-9_.-]{8}")
_REPETITIVE = 2048
_STREAMS = (b"data:", b"event:")


class Suspicion:
    """Says of a text whether one of the forms may occur in it. Its yes may be wrong, its no never is.

    Args:
        keys: what keys begin with, each followed by eight or more letters, digits and ``_.-``.
        phrases: pairs of texts which must both occur, as they are, for another form to occur; the second may be empty.
        words: the same as single texts in lower case. One that ends in a quote ends a member of JSON by name, so
            that a colon follows.
    """

    def __init__(
        self, *, keys: Sequence[bytes], phrases: Sequence[tuple[bytes, bytes]], words: Sequence[bytes]
    ) -> None:
        self._keys = len(keys)
        self._phrases = tuple(phrases)
        self._words = tuple(words)
        self._exact = BytesAhoCorasick([*keys, *(phrase for phrase, _ in phrases)])
        self._folded = BytesAhoCorasick(list(words))

    def __call__(self, data: bytes) -> bool:
        """Whether ``data`` is to be looked at more closely."""
        if len(data) > _REPETITIVE and data.startswith(_STREAMS) and not (b"://" in data and b"@" in data):
            # The events of a stream repeat all but their content. Only a password in a URL goes on behind a comma
            # without having begun to be one before it.
            data = b",".join(dict.fromkeys(data.split(b",")))
        phrases: set[int] = set()
        for index, _, end in self._exact.find_matches_as_indexes(data, overlapping=True):
            if index >= self._keys:
                phrases.add(index - self._keys)
            elif _KEY_GOES_ON.match(data, end):
                return True
        if any(self._phrases[index][1] in data for index in phrases):
            return True
        lowered = data.lower()
        for index, _, end in self._folded.find_matches_as_indexes(lowered, overlapping=True):
            if not self._words[index].endswith(b'"') or _goes_on_as_member(lowered[end : end + 1]):
                return True
        return False


def _goes_on_as_member(following: bytes) -> bool:
    """Whether a colon may come behind the quote that ``following`` stands behind: at once, or after blanks."""
    return following == b":" or following.isspace()
