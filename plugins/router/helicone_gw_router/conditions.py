"""Conditions: whether a rule or a target is meant for a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from helicone_gw import MalformedBody
from helicone_gw_router.needs import needed

if TYPE_CHECKING:
    from helicone_gw import Exchange, Request
    from helicone_gw_router.config import When

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

CHARACTERS_PER_TOKEN = 4
"""For estimates: bytes of a request's body that make a token, on the average."""


def parse_time(text: str) -> int:
    """Minutes since midnight of ``"08:30"``. Raises `ValueError`."""
    hours, colon, minutes = text.partition(":")
    if not (colon and hours.isdecimal() and minutes.isdecimal() and len(minutes) == 2):
        raise ValueError('should be a time of day such as "08:30"')
    total = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or total > 24 * 60:
        raise ValueError("should be a time of day between 00:00 and 24:00")
    return total


def parse_days(text: str) -> frozenset[int]:
    """Days of the week (Monday is 0) of ``"mon-fri,sun"``. Raises `ValueError`."""
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError('should be days such as "mon-fri" or "sat,sun"')
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(days)


class Moment:
    """A part of the day and of the week. One that ends before it begins ends on the next day, and is the first's."""

    def __init__(self, start: str, end: str, days: str, zone: str) -> None:
        self._start, self._end, self._days = parse_time(start), parse_time(end), parse_days(days)
        try:
            self._zone = UTC if zone == "UTC" else ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no time zone that this machine knows") from None

    def holds(self, now: float) -> bool:
        """Whether ``now`` (epoch seconds) lies in it."""
        at = datetime.fromtimestamp(now, self._zone)
        minutes, day = at.hour * 60 + at.minute, at.weekday()
        if self._start < self._end:
            return day in self._days and self._start <= minutes < self._end
        return (day in self._days and minutes >= self._start) or ((day - 1) % 7 in self._days and minutes < self._end)


@dataclass(frozen=True, slots=True)
class Facts:
    """What conditions look at. The body is decoded only if one asks for it."""

    request: Request
    key: str | None
    now: float

    @property
    def tokens(self) -> int:
        """Tokens of the prompt, estimated from the body's size; 0 for an upload."""
        return len(self.request.body or b"") // CHARACTERS_PER_TOKEN

    def body(self, path: str) -> Any:
        """The value at ``path`` (``a.b``) of a JSON body, ``None`` where there is none."""
        if not self.request.body:
            return None
        try:
            value = self.request.json()
        except MalformedBody:
            return None
        for step in path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        return value


def facts_of(exchange: Exchange, now: float) -> Facts:
    """The facts of a request at ``now`` (epoch seconds)."""
    return Facts(exchange.request, None if exchange.key is None else exchange.key.name, now)


Condition = Callable[[Facts], bool]


def compile_condition(when: When | None) -> Condition | None:
    """``when`` as a function; ``None`` for one that always holds."""
    if when is None:
        return None
    checks = [*_texts(when), *_numbers(when)]
    if not checks:
        return None
    return lambda facts: all(check(facts) for check in checks)


def _texts(when: When) -> list[Condition]:
    checks: list[Condition] = []

    def text(pattern: str | None, get: Callable[[Facts], str | None]) -> None:
        if pattern is not None:
            checks.append(lambda facts: (value := get(facts)) is not None and fnmatchcase(value, pattern))

    text(when.model, lambda facts: facts.request.model)
    text(when.user, lambda facts: facts.request.user)
    text(when.key, lambda facts: facts.key)
    for name, pattern in when.headers.items():
        text(pattern, lambda facts, name=name: facts.request.headers.get(name))  # type: ignore[misc]
    for name, pattern in when.properties.items():
        text(pattern, lambda facts, name=name: facts.request.helicone.properties.get(name))  # type: ignore[misc]
    return checks


def _numbers(when: When) -> list[Condition]:
    checks: list[Condition] = []
    if when.stream is not None:
        checks.append(lambda facts: facts.request.stream is when.stream)
    if when.min_tokens is not None:
        checks.append(lambda facts, least=when.min_tokens: facts.tokens >= least)  # type: ignore[misc]
    if when.max_tokens is not None:
        checks.append(lambda facts, most=when.max_tokens: facts.tokens <= most)  # type: ignore[misc]
    if when.time is not None:
        moment = Moment(when.time.start, when.time.end, when.time.days, when.time.zone)
        checks.append(lambda facts: moment.holds(facts.now))
    if when.needs:
        wanted_needs = frozenset(when.needs)
        checks.append(lambda facts: needed(facts.request, wanted_needs) == wanted_needs)
    for path, wanted in when.body.items():
        checks.append(lambda facts, path=path, wanted=wanted: _equal(facts.body(path), wanted))  # type: ignore[misc]
    return checks


def _equal(value: Any, wanted: bool | int | float | str) -> bool:
    if isinstance(wanted, str):
        return isinstance(value, str) and fnmatchcase(value, wanted)
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted
    return bool(value == wanted)
