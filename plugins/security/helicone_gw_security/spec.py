"""What a gateway key may be given: `KeySpec`, checked in one place for YAML, command line and REST API."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from ipaddress import ip_network
from typing import Literal, get_args

from helicone_gw import GatewayKey, Permits, Role

MAX_ENTRIES = 100
"""Entries of one list of a key: models, networks, limits, ..."""

MAX_TEXT = 200
"""Characters of a name, a pattern, an owner."""

ROLES: tuple[str, ...] = get_args(Role)
SCOPES = ("all", "read", "write")

_LIMIT = re.compile(
    r"(?P<quota>\d{1,16}(\.\d{1,9})?);w=(?P<window>\d{1,8})(;u=(?P<unit>request|cents|tokens))?(;s=[a-z0-9_-]{1,128})?",
    re.ASCII | re.IGNORECASE,
)
_MOST = {"request": 4_503_599_627, "cents": 450_359_962, "tokens": 4_503_599_627_370}
_BUDGET = re.compile(r"(?P<dollars>\d{1,7}(\.\d{1,9})?)/(?P<period>day|week|month|total)", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@,*]+", re.ASCII)
_EXPIRY = "not an ISO 8601 date or date-time, such as 2027-06-30 or 2027-06-30T18:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpec:
    """A gateway key as somebody wants it; ``None`` leaves it unlimited. ``expires_at`` is in epoch seconds.

    Raises `ValueError` with what is wrong, when it is made.
    """

    name: str
    owner: str | None = None
    organization: str = "default"
    models: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    origins: tuple[str, ...] | None = None
    role: Role = "member"
    scope: Literal["all", "read", "write"] = "all"
    limits: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    provider_key: str | None = None
    expires_at: float | None = None

    def __post_init__(self) -> None:
        for what, text in (("name", self.name), ("owner", self.owner), ("organization", self.organization)):
            if text is not None and not text.strip():
                raise ValueError(f"{what}: must not be empty")
            if text is not None and not (len(text) <= MAX_TEXT and text.isprintable()):
                raise ValueError(f"{what}: should be printable text of at most {MAX_TEXT} characters")
        if self.role not in ROLES:
            raise ValueError(f"role: should be one of {', '.join(ROLES)}")
        if self.scope not in SCOPES:
            raise ValueError(f"scope: should be one of {', '.join(SCOPES)}")
        for what, check in _CHECKS.items():
            given = getattr(self, what)
            if given is None or (not given and what in _MAY_BE_EMPTY):
                continue
            if not 1 <= len(given) <= MAX_ENTRIES:
                raise ValueError(f"{what}: 1 to {MAX_ENTRIES} entries, or leave it out")
            if not all(1 <= len(entry) <= MAX_TEXT for entry in given):
                raise ValueError(f"{what}: each has 1 to {MAX_TEXT} characters")
            object.__setattr__(self, what, tuple(map(check, given)))
        counted = [budget.partition("/")[2] for budget in self.budgets]
        if len(set(counted)) < len(counted):
            raise ValueError("budgets: one for each period")
        counted = [limit.lower().partition(";")[2] for limit in self.limits]
        if len(set(counted)) < len(counted):
            raise ValueError("limits: one for each window, unit and segment")

    def key(self, id: str) -> GatewayKey:
        """The key of this kind that is called ``id``."""
        return GatewayKey(
            id=id,
            name=self.name,
            owner=self.owner or self.name,
            organization=self.organization,
            permits=Permits(
                models=self.models,
                providers=self.providers,
                paths=self.paths,
                networks=self.networks,
                origins=self.origins,
            ),
            role=self.role,
            scope=self.scope,
            limits=self.limits,
            budgets=self.budgets,
            provider_key=self.provider_key,
        )


def parse_expiry(value: object) -> datetime:
    """An ISO 8601 date or date-time as an aware `datetime`; a date means its first moment, no offset means UTC.

    Raises `ValueError` for anything else, numbers included: ``expires: 2027`` is a slip, not a moment in 1970.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(_EXPIRY) from None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise ValueError(_EXPIRY)


def check_pattern(text: str) -> str:
    """``text``, a shell-style pattern: any will do."""
    return text


def check_path(text: str) -> str:
    """``text`` unchanged. Raises `ValueError` for a pattern that no path can match."""
    if not text.startswith(("/", "*", "?", "[")):
        raise ValueError(f"{text!r} matches no path: a path begins with a slash")
    return text


def check_network(text: str) -> str:
    """``text`` as a network in CIDR form. Raises `ValueError`."""
    try:
        return str(ip_network(text.strip()))
    except ValueError:
        raise ValueError(f"{text!r} is no IP address and no network such as 10.1.0.0/16") from None


def check_origin(text: str) -> str:
    """``text`` as the origin of a page, in lower case. Raises `ValueError`."""
    origin = text.strip().lower()
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(f"{text!r} is no origin: scheme and host, such as https://app.example.com")
    return origin


def check_limit(text: str) -> str:
    """``text`` if it is a policy of ``ratelimit``: ``quota;w=seconds[;u=unit][;s=segment]``. Raises `ValueError`.

    A name of a policy will not do: the key is limited whatever the configuration of that plugin says.
    """
    found = _LIMIT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no limit; one looks like 100;w=60;u=request: quota, window in seconds, unit")
    unit = (found["unit"] or "request").lower()
    if not 60 <= int(found["window"]) <= 31_536_000:
        raise ValueError(f"{text!r}: the window should be 60 to 31536000 seconds")
    smallest = 1.0 if unit == "request" else 0.001 if unit == "tokens" else 1e-7
    if not smallest <= float(found["quota"]) <= _MOST[unit]:
        raise ValueError(f"{text!r}: the quota should be above zero, at least one request, and at most {_MOST[unit]}")
    return text.strip()


def check_budget(text: str) -> str:
    """``text`` if it is a budget: dollars by period, ``25/month``. Raises `ValueError`."""
    found = _BUDGET.fullmatch(text.strip())
    if found is None or not 0 < float(found["dollars"]) <= 2_000_000:
        raise ValueError(f"{text!r} is no budget; one looks like 25/month: dollars by day, week, month or total")
    return text.strip()


_CHECKS: Mapping[str, Callable[[str], str]] = {
    "models": check_pattern,
    "providers": check_pattern,
    "paths": check_path,
    "networks": check_network,
    "origins": check_origin,
    "limits": check_limit,
    "budgets": check_budget,
}
_MAY_BE_EMPTY = frozenset({"limits", "budgets"})
