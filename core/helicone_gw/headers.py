"""Headers: ordered, immutable, case-insensitive HTTP header fields (RFC 9110 section 5), bytes on the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Generic, TypeVar

RawHeaders = tuple[tuple[bytes, bytes], ...]
Names = tuple[bytes, ...]
Picker = Callable[[Sequence[tuple[bytes, bytes]]], RawHeaders]


T = TypeVar("T")

name_of: Callable[[tuple[bytes, bytes]], bytes] = itemgetter(0)
"""The name of a field, without a frame of Python for each."""
value_of: Callable[[tuple[bytes, bytes]], bytes] = itemgetter(1)
"""The value of a field, likewise."""


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

    __slots__ = ("first", "kept", "names", "raw")

    raw: RawHeaders
    first: dict[bytes, bytes]
    """The first value of every name."""
    names: Names
    """The names of the fields, in order."""
    kept: dict[str, Any]
    """What somebody made of these headers and may want again: they are one object for all requests with one head, as a
    client sends it again and again. One entry for each who keeps something; it must say itself what else it is of."""

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[bytes, bytes]] = ()) -> None:
        if isinstance(fields, Mapping):
            self.raw = tuple(
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()
            )
        else:
            self.raw = tuple([(name.lower(), value) for name, value in fields])

    @classmethod
    def of_lower_case(cls, fields: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Headers of fields whose names are known to be lower-case, as ASGI's are: nothing is looked at."""
        made = cls.__new__(cls)
        made.raw = tuple(fields)
        return made

    def __getattr__(self, name: str) -> Any:
        # Asked only while the slot is empty: what is derived is made once, and then costs nothing to read.
        if name == "first":
            self.first = dict(reversed(self.raw))
            return self.first
        if name == "names":
            self.names = tuple(map(name_of, self.raw))
            return self.names
        if name == "kept":
            self.kept = {}
            return self.kept
        raise AttributeError(name)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of ``name``, or ``default``."""
        value = self.first.get(_key(name))
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


def fields_of(head: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of a head of HTTP/1.1, from its first line to its empty one: names in lower case, values without
    blanks around them.

    The grammar must have been checked: every line ends with CRLF, every field has a colon, none is folded.

    >>> fields_of(b"GET / HTTP/1.1\\r\\nHost: here\\r\\n\\r\\n")
    [(b'host', b'here')]
    """
    fields = []
    for line in head.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b":")
        fields.append((name.lower(), value.strip(b" \t")))
    return fields


class ByNames(Generic[T]):
    """What the names of a message's fields come to: ``learn`` of them, remembered. A decorator.

    Clients and providers send the same names in the same order again and again: what they come to is kept for the
    ``REMEMBERED`` lists of names that were seen last, and a message then costs one look and not one for each field.
    """

    REMEMBERED = 256
    LONGEST = 64
    """Fields of a message up to which its names are remembered; a longer list is learnt every time."""

    def __init__(self, learn: Callable[..., T]) -> None:
        self._learn = learn
        self.remembered = lru_cache(self.REMEMBERED)(learn)

    def __call__(self, names: Names, *more: bool) -> T:
        """What ``names`` come to; ``more`` is handed to ``learn``."""
        if len(names) > self.LONGEST:
            return self._learn(names, *more)
        return self.remembered(names, *more) if more else self.remembered(names)


class Selection:
    """The fields of a message whose names meet a condition, in order."""

    def __init__(self, condition: Callable[[bytes], bool]) -> None:
        self._condition = condition
        self._picker = ByNames(self._learn)

    def __call__(self, headers: Headers) -> RawHeaders:
        """The fields of ``headers`` that are meant."""
        names = headers.names
        picker = self._picker
        return (picker.remembered(names) if len(names) <= picker.LONGEST else picker(names))(headers.raw)

    def _learn(self, names: Names) -> Picker:
        places = [place for place, name in enumerate(names) if self._condition(name)]
        return picking(places, len(names))


def picking(places: Sequence[int], among: int) -> Picker:
    """What picks the fields at ``places`` of a sequence of ``among`` fields, as cheaply as it can be done."""
    if not places:
        return lambda fields: ()
    if len(places) == among:
        return tuple
    if len(places) == 1:
        return lambda fields: (fields[places[0]],)
    return itemgetter(*places)
