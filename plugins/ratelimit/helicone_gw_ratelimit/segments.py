"""Segments: whose bucket a request draws on, as part of a key of the store: bounded, and safe to put there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from helicone_gw_ratelimit.policy import GLOBAL, KEY, OWNER, USER

if TYPE_CHECKING:
    from helicone_gw import Exchange

ANONYMOUS = ""
"""The value of those who have none: one segment for all of them, and not no limit."""

MAX_VALUE = 256
"""Characters of a value that tell segments apart."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(value: str) -> str:
    """``value`` as part of a key: trimmed, at most 256 long, ``:`` and braces as ``_``, no control characters.

    >>> clean(" team:a\\n{1} ")
    'team_a_1_'
    """
    if len(value) <= MAX_VALUE and value.isalnum():
        return value
    plain = _UNSAFE.sub("", value[: 4 * MAX_VALUE]).translate(_APART)
    return plain.strip()[:MAX_VALUE]


_APART = str.maketrans(":{}", "___")


def segment_value(exchange: Exchange, segment: str) -> str:
    """Whose share ``exchange`` takes of a limit by ``segment`` (lower-case); `ANONYMOUS` where it does not say."""
    if segment == GLOBAL:
        return ANONYMOUS
    if segment == USER:
        value = exchange.request.helicone.user_id or exchange.request.user
    elif segment == KEY:
        value = None if exchange.key is None else exchange.key.id
    elif segment == OWNER:
        value = None if exchange.key is None else exchange.key.owner
    else:
        value = exchange.request.helicone.properties.get(segment)
    return ANONYMOUS if value is None else clean(value)


def segment_words(exchange: Exchange, segment: str) -> tuple[str, ...]:
    """The words of a store's key that name the segment: ``global``, ``user``, its value; ``prop``, name, value; ..."""
    if segment == GLOBAL:
        return (GLOBAL, "")
    value = segment_value(exchange, segment)
    return (segment, value) if segment in (USER, KEY, OWNER) else ("prop", segment, value)
