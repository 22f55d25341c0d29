"""Policy: one limit as Helicone's header writes it: ``quota;w=seconds[;u=unit][;s=segment]``.

The quota is a number above zero, the window 60 seconds to a year, the unit ``request`` (default), ``cents`` (of a US
dollar) or ``tokens``, the segment ``global`` (default), ``user``, ``key``, ``owner`` (of the key), or the name of a
property. Always in this order, without spaces, in any case. A name without ``;`` is that of a policy of the
configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal, cast, get_args

from msgspec import Struct

Unit = Literal["request", "cents", "tokens"]
Algorithm = Literal["token-bucket", "moving-window"]

UNITS: Final[tuple[Unit, ...]] = get_args(Unit)

SUBUNITS: Final[Mapping[Unit, int]] = {"request": 1_000_000, "cents": 10_000_000, "tokens": 1_000}
"""Whole numbers that make one unit; a ten-millionth of a cent is a nano-dollar. Finer decimals of a quota are cut."""

MAX_QUOTA: Final = 2**52 - 1
"""Largest quota in subunits: what keeps every number of a bucket exact in Lua."""

MIN_WINDOW, MAX_WINDOW = 60, 31_536_000
MAX_TEXT: Final = 256
"""Longest policy that is read, in characters."""

GLOBAL, USER, KEY, OWNER = "global", "user", "key", "owner"

EXAMPLE: Final = "100;w=60;u=request;s=user"

_GRAMMAR = re.compile(
    r"(?P<quota>(?P<whole>[0-9]+)(?:\.(?P<fraction>[0-9]+))?);w=(?P<window>[0-9]+)"
    rf"(?:;u=(?P<unit>{'|'.join(UNITS)}))?(?:;s=(?P<segment>[a-z0-9_-]+))?",
    re.IGNORECASE | re.ASCII,
)


class Policy(Struct, frozen=True):
    """One limit. ``quota`` is in subunits (see `SUBUNITS`), ``window`` in seconds.

    ``limit`` is the quota as a client reads it, ``text`` the policy in its shortest form.
    """

    quota: int
    window: int
    unit: Unit
    segment: str
    limit: str
    text: str

    @property
    def microseconds(self) -> int:
        """The window in microseconds."""
        return self.window * 1_000_000


@lru_cache(maxsize=1024)
def parse_policy(text: str) -> Policy:
    """Read a policy. Raises `ValueError` with what is wrong, never with what was sent.

    >>> parse_policy("10.50;W=60;U=CENTS;s=Team")
    Policy(quota=105000000, window=60, unit='cents', segment='team', limit='10.5', text='10.5;w=60;u=cents;s=team')
    """
    found = _GRAMMAR.fullmatch(text.strip(" \t")) if len(text) <= MAX_TEXT else None
    if found is None:
        raise ValueError(
            f'it should look like "{EXAMPLE}": quota, window in seconds, unit ({", ".join(UNITS)}), segment'
        )
    window = int(found["window"])
    if not MIN_WINDOW <= window <= MAX_WINDOW:
        raise ValueError(f"its window should be {MIN_WINDOW} to {MAX_WINDOW} seconds")
    unit = cast(Unit, (found["unit"] or "request").lower())
    segment = (found["segment"] or GLOBAL).lower()
    decimals = len(str(SUBUNITS[unit])) - 1
    fraction = (found["fraction"] or "")[:decimals]
    quota = int(found["whole"]) * SUBUNITS[unit] + int(fraction.ljust(decimals, "0"))
    if quota <= 0:
        raise ValueError("its quota should be above zero")
    if quota > MAX_QUOTA:
        raise ValueError(f"its quota should be at most {MAX_QUOTA // SUBUNITS[unit]}")
    if unit == "request" and quota < SUBUNITS[unit]:
        raise ValueError("a quota below one request admits none")
    limit = str(int(found["whole"]))
    if rest := fraction.rstrip("0"):
        limit = f"{limit}.{rest}"
    shortest = f"{limit};w={window}"
    if unit != "request":
        shortest += f";u={unit}"
    if segment != GLOBAL:
        shortest += f";s={segment}"
    return Policy(quota, window, unit, segment, limit, shortest)


def is_name(text: str) -> bool:
    """Whether ``text`` is a policy's name, and not the policy itself."""
    return ";" not in text
