"""Suspicion: whether a text may hold a credential at all, told in one pass; nearly none of those logged does.

Every body of every request is held against all the forms of `redact`, which has dozens: searching for one after the
other would cost more than the rest of the logging.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

_KEY_BYTES = 8
_KEY_GOES_ON = re.compile(rb"[A-Za-z0-9_.-]{%d}" % _KEY_BYTES)
_REPETITIVE = 2048
_STREAMS = (b"data:", b"event:")
_END_BYTES = 5
"""Long enough to tell `_key"` from `.key"`, which stands in the note of every hit of a cache."""
_SHARED = 3
_piece: Callable[[bytes, slice], bytes] = bytes.__getitem__


class Suspicion:
    """Says of a text whether one of the forms may occur in it. Its yes may be wrong, its no never is.

    Args:
        keys: what keys begin with, each followed by eight or more letters, digits and ``_.-``.
        phrases: what must occur, as it is, for another form to occur.
        words: the same in lower case. One that ends in a quote ends a member of JSON by name, so that a colon follows.
        forms: pairs of a text, which is hardly ever there, and the form that is looked for where it is. What else such
            a form has is too common to make a text suspicious.
    """

    def __init__(
        self,
        *,
        keys: Sequence[bytes],
        phrases: Sequence[bytes],
        words: Sequence[bytes],
        forms: Sequence[tuple[bytes, Callable[[], re.Pattern[bytes]]]] = (),
    ) -> None:
        self._needles = (*keys, *phrases, *words)
        self._forms = tuple(forms)
        self._keys = len(keys)
        self._words = len(keys) + len(phrases)
        self.begins = tuple(keys)
        """A text that begins with one of these is suspicious at a glance, and so is every text that it stands in."""
        # Told first, from sixteen bytes at a time: whether there is any of them, or a part that some have in common.
        self.glanced_at = parts(needle.lower() for needle in self._needles)
        self._glance = BytesAhoCorasick(self.glanced_at, matchkind=MatchKind.LeftmostFirst)
        # Nearly never looked at. The table takes seventy kilobytes, and half the time of the smaller automata.
        self._automaton = BytesAhoCorasick(
            [needle.lower() for needle in self._needles], implementation=Implementation.DFA
        )
        self._window = max(map(len, self._needles), default=0) + _KEY_BYTES
        """Bytes that are looked at, at most, to tell whether a needle makes a text suspicious."""

    def at_a_glance(self, data: bytes) -> bool:
        """Whether anything in ``data`` is worth the search: a yes is wrong more often than that of a call."""
        if self._glance.find_matches_as_indexes(data.lower()):
            return True
        for text, form in self._forms:  # noqa: SIM110 - a generator takes longer than the search
            if text in data and form().search(data) is not None:
                return True
        return False

    def __call__(self, data: bytes) -> bool:
        """Whether ``data`` is to be held against all forms."""
        if not self.at_a_glance(data):
            return False
        seen = data
        if len(data) > _REPETITIVE and data.startswith(_STREAMS):
            seen = without_repetition(data, self._window)
        lowered = seen.lower()
        for index, start, end in self._automaton.find_matches_as_indexes(lowered, overlapping=True):
            needle = self._needles[index]
            if index >= self._words:
                if not needle.endswith(b'"') or _goes_on_as_member(seen[end : end + 1]):
                    return True
            elif seen.startswith(needle, start) and (index >= self._keys or _KEY_GOES_ON.match(seen, end)):
                return True
        return any(text in data and form().search(data) is not None for text, form in self._forms)


def parts(needles: Iterable[bytes]) -> list[bytes]:
    """Texts of which at least one stands in each of ``needles``: few, so that they are searched for all at once.

    Up to 64, of two bytes or more, are compared with the text by the instructions of the processor that take many bytes
    at a time; beyond that it goes through an automaton, byte by byte.
    """
    wanted = sorted(set(needles))
    ends = Counter(needle[-_END_BYTES:] for needle in wanted)
    found = {end if ends[end := needle[-_END_BYTES:]] >= _SHARED else needle for needle in wanted}
    return sorted(one for one in found if not any(other in one for other in found if other != one))


def without_repetition(stream: bytes, window: int) -> bytes:
    """The events of ``stream`` without most of what stands between the texts of any two: nearly all, usually.

    Whatever stands in ``stream`` within ``window`` bytes stands in what is returned; the reverse is not true.
    """
    first = stream.find(b"\n\n", len(stream) // 2)
    second = stream.find(b"\n\n", first + 2)
    third = stream.find(b"\n\n", second + 2)
    if min(first, second, third) < 0:
        return stream
    same = _between_texts(stream[first:second], stream[second:third])
    if len(same) < 4 * window:
        return stream
    start, rest = same[:window], same[window:]
    events = stream.split(start)
    # Of those that go on with it: there are hundreds, for which no step of the interpreter is taken.
    repeats = map(bytes.startswith, events, repeat(rest))
    kept = map((slice(None), slice(len(rest) - window, None)).__getitem__, repeats)
    # What was taken out stands once at the end. Around each gap a whole window is left on either side.
    return start.join(map(_piece, events, kept)) + same


def _between_texts(one: bytes, other: bytes) -> bytes:
    """What both end with, and then what both begin with: from the quote behind a text to that before the next."""
    size = min(len(one), len(other))
    begins = _most(lambda length: one[:length] == other[:length], size)
    begins = one.rfind(b'"', 0, begins) + 1
    ends = _most(lambda length: one.endswith(other[len(other) - length :]), size - begins)
    quote = one.find(b'"', len(one) - ends)
    return (one[quote:] if quote >= 0 else b"") + one[:begins]


def _most(holds: Callable[[int], bool], most: int) -> int:
    """The largest number up to ``most`` for which it still holds, as it does for zero."""
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if holds(middle):
            least = middle
        else:
            most = middle - 1
    return least


def _goes_on_as_member(following: bytes) -> bool:
    """Whether a colon may come behind the quote that ``following`` stands behind: at once, or after blanks."""
    return following == b":" or following.isspace()
