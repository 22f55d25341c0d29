"""Headers: ordered, immutable, case-insensitive HTTP header fields (RFC 9110 section 5), bytes on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

RawHeaders = tuple[tuple[bytes, bytes], ...]


@lru_cache(maxsize=512)
def _key(name: str) -> bytes:
    return name.lower().encode("latin-1")


class Headers:
    """The header fields of a message, in the order in which they came.

    Names are lower-case bytes, values are bytes as received; the accessors speak ``str`` (latin-1, RFC 9110 5.5).
    Every "change" returns a new object, so a hook may keep one without fear.

    >>> headers = Headers({"Content-Type": "application/json"})
    >>> headers.get("content-type")
    'application/json'
    >>> headers.set("x-a", "1").without("content-type").raw
    ((b'x-a', b'1'),)
    """

    __slots__ = ("_first", "raw")

    raw: RawHeaders

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[bytes, bytes]] = ()) -> None:
        if isinstance(fields, Mapping):
            self.raw = tuple(
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()
            )
        else:
            self.raw = tuple([(name.lower(), value) for name, value in fields])
        self._first: dict[bytes, bytes] | None = None

    @classmethod
    def of_lower_case(cls, fields: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Headers of fields whose names are known to be lower-case, as ASGI's are: nothing is looked at."""
        made = cls.__new__(cls)
        made.raw = tuple(fields)
        made._first = None
        return made

    @property
    def first(self) -> dict[bytes, bytes]:
        """The first value of every name; built once, on first use."""
        first = self._first
        if first is None:
            first = self._first = dict(reversed(self.raw))
        return first

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of ``name``, or ``default``."""
        value = (self._first or self.first).get(_key(name))
        return default if value is None else value.decode("latin-1")

    def get_all(self, name: str) -> list[str]:
        """Every value of ``name``, in order."""
        wanted = _key(name)
        return [value.decode("latin-1") for key, value in self.raw if key == wanted]

    def set(self, name: str, value: str) -> Headers:
        """With exactly one ``name`` field, at the end."""
        key = _key(name)
        kept = [field for field in self.raw if field[0] != key]
        kept.append((key, value.encode("latin-1")))
        return Headers.of_lower_case(kept)

    def without(self, *names: str) -> Headers:
        """Without any field of these names."""
        gone = {_key(name) for name in names}
        if gone.isdisjoint(self.first):
            return self
        return Headers.of_lower_case([field for field in self.raw if field[0] not in gone])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _key(name) in self.first

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        # Values may be credentials: a representation ends up in logs and stack traces.
        return f"Headers({', '.join(name.decode('latin-1') for name, _ in self.raw)})"
