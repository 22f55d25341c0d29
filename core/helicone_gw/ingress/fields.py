"""Fields: reading ``Helicone-*`` values by their grammars; what is malformed becomes a warning, never an exception.

Which header has which grammar is in ``fields.json``. A row's ``attribute`` (of its ``group``) is where the value goes,
``alias`` a second name that counts when the first is absent, ``property`` whether it is recorded as a property too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from typing import Any, Literal

import msgspec

from helicone_gw.headers import RawHeaders, Selection
from helicone_gw.ingress.metadata import PREFIX, lift_metadata


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One header of the contract."""

    header: str
    kind: Literal[
        "text", "flag", "any_case_flag", "presence", "natural", "positive", "number", "names", "choice", "uuid"
    ]
    attribute: str
    group: Literal["cache", "retry"] | None = None
    alias: str | None = None
    choices: tuple[str, ...] = ()
    property: bool = False


ROWS = msgspec.json.decode((resources.files(__package__) / "fields.json").read_bytes(), type=tuple[Row, ...])
"""Every request header, in the contract's order; ``Helicone-Auth`` and ``Helicone-Property-*`` have no row."""

_BY_NAME = {row.header.lower(): row for row in ROWS} | {row.alias.lower(): row for row in ROWS if row.alias}
_RECORDED = tuple((row.header, row.header.lower()) for row in ROWS if row.property)
_OTHER_RAW = frozenset(name.encode() for name in _BY_NAME if not name.startswith(PREFIX))
our_fields = Selection(lambda name: name.startswith(PREFIX.encode()) or name in _OTHER_RAW)
"""Picks the fields of a request that Helicone gives a meaning."""
SWITCHES = frozenset(
    name.encode() for name, row in _BY_NAME.items() if row.kind not in ("text", "uuid") or name == "cache-control"
)
"""Fields that set a number or turn something on or off: they come the same with every request, and are no secrets."""

# They are sent back in one header, which has to stay small; a client that sees eight knows enough.
_MAX_WARNINGS = 8
# RFC 9562 4: variant 10, versions 1 to 8. Nil and Max (5.9, 5.10) name nothing, so they are no id.
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,15})(?![0-9])(.*)", re.DOTALL)
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15}))(?![0-9])(.*)", re.DOTALL)


class Fields:
    """The Helicone fields of one request by lower-case name: ``spelling`` as sent and ``value``; first one wins."""

    __slots__ = ("_found", "warnings")

    def __init__(self, ours: RawHeaders, metadata: Mapping[str, object] | None, head: bytes = b"") -> None:
        """``ours`` are the fields that `our_fields` picks; see `parse_helicone_headers` for the others."""
        self._found: dict[str, tuple[str, str]] = {}
        self.warnings: list[str] = []
        for raw_name, raw_value in ours:
            name = raw_name.decode("latin-1")
            spelling = _as_sent(raw_name, head) if head and name.startswith("helicone-property-") else name
            self._found.setdefault(name, (spelling, _text(raw_value)))
        if metadata:
            for name, value in lift_metadata(metadata)[0].items():
                self._found.setdefault(name.lower(), (name, value))
        # Credentials are read elsewhere, and kept nowhere.
        self._found.pop("helicone-auth", None)

    def __bool__(self) -> bool:
        return bool(self._found)

    def read(self) -> dict[str, Any]:
        """What was said, by attribute, the groups as dictionaries of their own."""
        said: dict[str, Any] = {}
        for name in self._found:
            row = _BY_NAME.get(name)
            if row is None or (name != row.header.lower() and self.text(row.header.lower()) is not None):
                continue
            value = self.choice(name, *row.choices) if row.kind == "choice" else _READERS[row.kind](self, name)
            if value is not None:
                (said if row.group is None else said.setdefault(row.group, {}))[row.attribute] = value
        return said

    def recorded(self) -> Iterator[tuple[str, str]]:
        """The headers that are recorded as properties, under their own names."""
        for header, name in _RECORDED:
            value = self.text(name)
            if value is not None:
                yield header, value

    def text(self, name: str) -> str | None:
        """The value, or ``None`` when not sent or empty."""
        found = self._found.get(name)
        return (found[1] or None) if found is not None else None

    def flag(self, name: str, *, any_case: bool = False) -> bool | None:
        """``true`` or ``false``; ``None`` when not sent or anything else. ``any_case``: ``TRUE`` is true as well."""
        value = self.text(name)
        if value is None:
            return None
        folded = value.lower() if any_case else value
        if folded in ("true", "false"):
            return folded == "true"
        self._warn(name, "must be true or false", value)
        return None

    def integer(self, name: str, *, least: int) -> int | None:
        """A whole number. Digits followed by something else are taken, with a warning, as Helicone takes them."""
        value = self.text(name)
        found = _INTEGER.fullmatch(value) if value is not None else None
        if value is None:
            return None
        if found is None or int(found[1]) < least:
            self._warn(name, f"must be a whole number, {least} or more", value)
            return None
        if found[2].strip():
            self._warn(name, f"was read as {int(found[1])}", value)
        return int(found[1])

    def number(self, name: str) -> float | None:
        """A decimal number above 0, leniently as `integer`."""
        value = self.text(name)
        found = _NUMBER.fullmatch(value) if value is not None else None
        if value is None:
            return None
        number = float(found[1]) if found is not None else math.nan
        if not number > 0:
            self._warn(name, "must be a number above 0", value)
            return None
        if found is not None and found[2].strip():
            self._warn(name, f"was read as {number:g}", value)
        return number

    def choice(self, name: str, *choices: str) -> str | None:
        """One of ``choices``, compared case-insensitively."""
        value = self.text(name)
        if value is None:
            return None
        for choice in choices:
            if value.lower() == choice.lower():
                return choice
        self._warn(name, f"must be one of {', '.join(choices)}", value)
        return None

    def uuid(self, name: str) -> str | None:
        """A UUID, lower-case."""
        value = self.text(name)
        if value is None:
            return None
        if _UUID.fullmatch(value.lower()):
            return value.lower()
        self._warn(name, "must be a UUID (RFC 9562); an id of ours is used", value)
        return None

    def names(self, name: str) -> tuple[str, ...]:
        """A comma-separated list, or a JSON array of strings, or the items of one without its brackets."""
        value = self.text(name)
        if value is None:
            return ()
        if value.startswith(("[", '"')):
            try:
                return msgspec.json.decode(value if value.startswith("[") else f"[{value}]", type=tuple[str, ...])
            except (msgspec.MsgspecError, UnicodeError):
                self._warn(name, "is not a JSON array of strings", value)
                return ()
        return tuple(item.strip() for item in value.split(",") if item.strip())

    def properties(self) -> list[tuple[str, str]]:
        """Custom properties by the name that follows the prefix."""
        return [
            (spelling[len(PREFIX) + len("property-") :], value)
            for name, (spelling, value) in self._found.items()
            if name.startswith("helicone-property-") and len(name) > len("helicone-property-")
        ]

    def _warn(self, name: str, problem: str, value: str) -> None:
        if len(self.warnings) == _MAX_WARNINGS:
            return
        shown = value if len(value) <= 40 else value[:37] + "..."
        self.warnings.append(f"{_title(name)} {problem}: {shown!a}")


_READERS: dict[str, Callable[[Fields, str], Any]] = {
    "text": Fields.text,
    "flag": Fields.flag,
    "any_case_flag": lambda fields, name: fields.flag(name, any_case=True),
    "presence": lambda fields, name: None if (text := fields.text(name)) is None else text.lower() != "false",
    "natural": lambda fields, name: fields.integer(name, least=0),
    "positive": lambda fields, name: fields.integer(name, least=1),
    "number": Fields.number,
    "names": Fields.names,
    "uuid": Fields.uuid,
}


def _as_sent(name: bytes, head: bytes) -> str:
    """A field's name in the spelling of the request's own bytes; servers give it in lower case."""
    at = head.lower().find(b"\n" + name + b":") + 1
    return (head[at : at + len(name)] if at else name).decode("latin-1")


def _title(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def _text(raw: bytes) -> str:
    """UTF-8 where it is valid, as clients send it, else latin-1 (RFC 9110 5.5)."""
    try:
        return raw.decode().strip()
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip()
