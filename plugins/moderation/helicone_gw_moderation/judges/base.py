"""What a judge is: asked for a verdict on texts, by name, within its time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct

from helicone_gw import Exchange

MOST_CATEGORIES = 8
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_/.\- ]+")


class JudgeFailed(Exception):
    """There is no verdict: what came is not one. The message is of our own words."""


class Verdict(Struct, frozen=True):
    """Whether a text is against the judge's policy, and by which of its categories."""

    flagged: bool
    categories: tuple[str, ...] = ()


class Judge(Protocol):
    """Somebody to ask."""

    async def __call__(self, text: str, where: str, exchange: Exchange) -> Verdict:
        """The verdict on ``text``, of the "input" or "output" of ``exchange``.

        Raises `JudgeFailed`, a `GatewayError`, an httpx error or `TimeoutError` where there is none.
        """
        ...


def category_names(names: Iterable[object]) -> tuple[str, ...]:
    """Categories as a judge calls them, fit for a log: short, of plain characters, and not many.

    >>> category_names(["S1", "self-harm/intent", 3, "a" * 100])[:2]
    ('S1', 'self-harm/intent')
    """
    plain = (_NOT_IN_NAMES.sub("", name)[:40].strip() for name in names if isinstance(name, str))
    return tuple(dict.fromkeys(name for name in plain if name))[:MOST_CATEGORIES]
