"""A detector for tests: keys of one form, and addresses, and long things that begin like a private key."""

from __future__ import annotations

import re
from collections.abc import Sequence

from helicone_gw_moderation.detectors.base import Detector, Finding
from helicone_gw_moderation.plan import Action, Check, Plan
from helicone_gw_moderation.plugin import ModerationPlugin

KEY = "sk-test-Ab3dEf6hIj9lMn2p"
ADDRESS = "alice@example.com"
LONG = "BEGIN-SECRET " + "x7" * 200 + " END-SECRET"
PHRASE = "ignore all previous instructions"


class Finder:
    """Finds what the patterns say, as `Detector` demands: what begins somewhere is decided by what stands around it."""

    name = "finder"
    overlap = 48
    finds = frozenset({"secret", "test_key", "long_key", "pii", "email", "injection", "ignore", "keyword", "word"})
    _patterns = (
        ("secret", "test_key", re.compile(r"(?<![\w-])sk-test-[A-Za-z0-9]{16}(?![\w-])"), 1.0),
        ("pii", "email", re.compile(r"(?<![\w.])[a-z]{2,10}@[a-z]{2,10}\.com(?![\w])"), 1.0),
        ("secret", "long_key", re.compile(r"BEGIN-SECRET [\s\S]{0,6000}?(?:END-SECRET|\Z)"), 1.0),
        ("injection", "ignore", re.compile(r"ignore all previous instructions"), 0.9),
        ("keyword", "word", re.compile(r"\bforbidden\b"), 1.0),
    )

    def find(self, text: str) -> list[Finding]:
        """See `Detector`."""
        found = [
            Finding(match.start(), match.end(), self.name, category, label, score)  # type: ignore[arg-type]
            for category, label, pattern, score in self._patterns
            for match in pattern.finditer(text)
        ]
        return sorted(found, key=lambda finding: finding.start)


class LengthFinder:
    """Looks at whole texts."""

    name = "length"
    overlap = 0
    finds = frozenset({"length", "too_long"})

    def find(self, text: str) -> list[Finding]:
        """Texts of more than 100 characters are too long."""
        return [Finding(0, len(text), self.name, "length", "too_long", 1.0)] if len(text) > 100 else []


DETECTORS: tuple[Detector, ...] = (Finder(), LengthFinder())


class TestedPlugin(ModerationPlugin):
    """The plugin with these detectors."""

    __test__ = False

    def detectors(self) -> Sequence[Detector]:
        return DETECTORS


CLASSES = {"moderation": TestedPlugin}


def plan(*names: str, action: Action = "block", hold_all: bool = False, restore: bool = True) -> Plan:
    """A plan that looks for ``names``."""
    check = Check(frozenset(names), (), action, restore=restore)
    detectors = [each for each in DETECTORS if each.name == "finder" or "length" in names]
    return Plan([check], detectors, hold_all=hold_all)
