"""Plan: what is looked for on one side of an exchange, and what follows from each thing found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Literal

from msgspec import Struct

from helicone_gw_moderation.detectors.base import Detector, Finding

Action = Literal["block", "redact", "flag", "shadow"]
Code = Literal["threat", "flagged"]
STRENGTH: dict[Action, int] = {"shadow": 0, "flag": 1, "redact": 2, "block": 3}
"""Of several checks that find the same, the strongest says what follows."""
THREATS = frozenset({"injection", "jailbreak"})
"""Categories whose refusals are of a threat; others are of something that was flagged."""
MAX_PLACEHOLDER = 64
"""Characters of the longest placeholder."""


_NUMBERS = count()


class Check(Struct, frozen=True):
    """What is looked for by names (categories, detectors or labels; a judge by its own), and what is then done."""

    find: frozenset[str]
    judges: tuple[str, ...]
    action: Action
    min_score: float = 0.0
    restore: bool = True
    code: Code | None = None

    def finds(self, finding: Finding) -> bool:
        """Whether it asks for this."""
        named = finding.category in self.find or finding.label in self.find or finding.detector in self.find
        return named and finding.score >= self.min_score


class Hit(Struct, frozen=True):
    """Something that was found and is asked for; ``late`` of its characters had left before it was known.

    ``code`` is the kind of refusal that it would be.
    """

    start: int
    end: int
    detector: str
    category: str
    label: str
    action: Action
    code: Code
    restore: bool = True
    late: int = 0


class Plan:
    """The checks of one side, put together. ``hold_all``: nothing of a stream is decided before its end."""

    def __init__(self, checks: Sequence[Check], detectors: Iterable[Detector], *, hold_all: bool = False) -> None:
        self.number = next(_NUMBERS)
        """No other plan of this process has it."""
        self.checks = tuple(check for check in checks if check.find)
        self.judged = tuple(check for check in checks if check.judges)
        used = tuple(detectors) if self.checks else ()
        self.local = tuple(detector for detector in used if detector.overlap)
        self.whole = tuple(detector for detector in used if not detector.overlap)
        self.overlap = max((detector.overlap for detector in self.local), default=0)
        self.hold_all = hold_all

    @property
    def applies(self) -> bool:
        """Whether a text may have to be kept back for what is found in it."""
        return any(check.action in ("block", "redact") for check in self.checks)

    @property
    def awaits(self) -> bool:
        """Whether a text may have to be kept back for a verdict."""
        return any(check.action == "block" for check in self.judged)

    @property
    def enforces(self) -> bool:
        """Whether anything is refused or changed."""
        return self.applies or self.awaits

    def find(self, text: str, *, whole: bool = False) -> list[Hit]:
        """What is found and asked for in ``text``, by its beginning; ``whole`` by detectors of whole texts."""
        found = [each for detector in (self.whole if whole else self.local) for each in detector.find(text)]
        hits = [hit for finding in found if (hit := self._hit(finding)) is not None]
        hits.sort(key=lambda hit: (hit.start, -hit.end, -STRENGTH[hit.action], hit.label))
        return hits

    def _hit(self, finding: Finding) -> Hit | None:
        asked = [check for check in self.checks if check.finds(finding)]
        if not asked:
            return None
        check = max(asked, key=lambda check: STRENGTH[check.action])
        return Hit(
            finding.start,
            finding.end,
            finding.detector,
            finding.category,
            finding.label,
            check.action,
            check.code or ("threat" if finding.category in THREATS else "flagged"),
            check.restore,
        )


_NOT_IN_NAMES = re.compile(r"[^A-Z0-9]+")


def placeholder_name(label: str) -> str:
    """What a placeholder calls something of this label."""
    return _NOT_IN_NAMES.sub("_", label.upper())[:40].strip("_") or "REDACTED"
