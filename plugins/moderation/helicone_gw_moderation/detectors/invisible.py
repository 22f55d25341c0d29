"""Text that nobody sees: runs of invisible characters, which only a model reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from helicone_gw_moderation.detectors.secrets import Place

_TAGS = re.compile("(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0020-\U000e007f]{4,}+")
_HIDDEN = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u00ad\U000e0100-\U000e01ef]{12,}+")
_RUN = 480
"""The longest piece that is reported; what runs on is the next one."""


def invisible_text(text: str) -> Iterator[Place]:
    """Tag characters outside of flags, and long runs of others that have no width."""
    if text.isascii():
        return
    for pattern in (_TAGS, _HIDDEN):
        for run in pattern.finditer(text):
            yield run.start(), min(run.end(), run.start() + _RUN), "invisible_text"


FINDERS: Mapping[str, Callable[[str], Iterator[Place]]] = {"invisible_text": invisible_text}
"""What a rule's ``finder`` may name, for text that hides."""
