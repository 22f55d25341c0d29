"""What a detector is, and what it finds: the seam between the rules and the plugin that applies them."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

Category = Literal["secret", "pii", "injection", "jailbreak", "keyword", "length", "schema"]


class Finding(Struct, frozen=True, gc=False):
    """One place in a text, in characters of the text as it was given: ``text[start:end]``.

    ``score`` is between 0 and 1: 1 where a checksum holds or the user's own rule matched, less where only the form or
    the wording speaks for it. It never holds the text itself.
    """

    start: int
    end: int
    detector: str
    category: Category
    label: str
    score: float


class Detector(Protocol):
    """Looks through a text, without I/O and in linear time. Findings come by ``start`` and may overlap one another.

    ``overlap`` is in characters, and makes pieces of a stream as good as the whole. Whether something that starts at
    ``s`` is found is decided by ``text[s - overlap : s + overlap]`` alone. So a window over a stream keeps ``overlap``
    characters before what was not yet released, releases nothing that is less than ``overlap`` from its end until the
    text ends, and counts a finding when ``start + overlap <= len(text)`` or the text has ended: the same findings as
    in the whole text, at every split.

    A finding that reaches the end of the window (``end == len(text)``) may still grow: long ones (a private key, a
    JWT) are decided by their beginning, and are up to ``MAX_FINDING`` characters long. Who redacts holds from its
    start until it ends. ``overlap`` 0: the detector judges the whole text and is asked once, at its end.
    """

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    @property
    def overlap(self) -> int:
        """Characters to each side that decide; bounded by `MAX_OVERLAP`."""
        ...

    def find(self, text: str) -> list[Finding]:
        """Everything found in ``text``, by ``start``; raises nothing."""
        ...


MAX_OVERLAP = 1024
"""The largest ``overlap`` of any detector here: what a stream must be able to hold, in characters."""

MAX_FINDING = 8192
"""The longest finding, in characters; what runs on beyond it is cut there."""
