"""promptbadger as a detector: its rules and its small classifier beside ours, where the extra is installed."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from helicone_gw import ConfigError
from helicone_gw_moderation.detectors.base import Finding

PIECE = 8000
"""Characters given to it at a time: what it costs grows faster than the text."""
SHARED = 500
"""Characters that two pieces share, so that what lies across their border is in one of them."""
_SURROGATES = re.compile("[\ud800-\udfff]")


class PromptbadgerDetector:
    """A `Detector` of whole texts. Raises `ConfigError` when promptbadger is not installed."""

    name = "promptbadger"
    overlap = 0
    finds = frozenset(("injection", "promptbadger"))

    def __init__(self, *, classifier: bool = True) -> None:
        try:
            library: Any = import_module("promptbadger")
        except ImportError:
            raise ConfigError(["promptbadger is not installed: helicone-gw[promptbadger]"]) from None
        self._scanner = library.Scanner(classifier=classifier)

    def find(self, text: str) -> list[Finding]:
        """What it calls malicious, one finding for each of its detections; their score is its verdict's."""
        found: list[Finding] = []
        for base in range(0, max(1, len(text) - SHARED), PIECE - SHARED):
            result = self._scanner.scan(_SURROGATES.sub("\ufffd", text[base : base + PIECE]))
            if not result.is_injection:
                continue
            for detection in result.detections:
                start, end = detection.span
                score = min(1.0, result.score / 100)
                found.append(Finding(base + start, base + end, self.name, "injection", "promptbadger", score))
        return sorted(set(found), key=lambda finding: (finding.start, finding.end))
