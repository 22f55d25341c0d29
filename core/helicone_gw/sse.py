"""Server-sent events, sans-IO: bytes to whole events and back (WHATWG HTML, section 9.2 "Server-sent events")."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

# The atomic groups keep CRLF one line end: without them the search could count its CR and its LF as two.
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event is longer than `EventSplitter` was told to hold.

    ``events`` are the complete events that came before it in the same `EventSplitter.feed`; the bytes of the long one,
    and all that follows, stay in the splitter for `EventSplitter.flush`.
    """

    def __init__(self, limit: int, events: list[bytes]) -> None:
        super().__init__(f"A server-sent event is longer than {limit} bytes.")
        self.limit = limit
        self.events = events


class EventSplitter:
    """Cuts a byte stream into events, however the network cut it up.

    An event is the original bytes up to and with the blank line that ends it; lines end in LF, CRLF or CR, mixed at
    will. A comment with its blank line is an event, and so is a blank line that follows no other line; a byte order
    mark stays where it is. What `feed` returned, joined, plus `flush`, is the input.

    An event that ends in a bare CR is returned only when the next byte is known not to be the LF of the same line end.

    Args:
        max_event: longest event in bytes, its blank line included; a longer one raises `EventTooLarge`.
    """

    __slots__ = ("_has_cr", "_held", "_scanned", "max_event")

    def __init__(self, max_event: int) -> None:
        self.max_event = max_event
        self._held = bytearray()
        self._scanned = 0
        """Bytes of the held event that are known to contain no blank line: nothing is searched twice."""
        self._has_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """The events that ``data`` completes, in order. Raises `EventTooLarge`."""
        if not data:
            return []
        held = self._held
        buffer: bytes | bytearray = data
        if held:
            held += data
            buffer = held
        # Nearly every stream has no CR at all, and then a blank line is simply two LFs.
        self._has_cr = self._has_cr or b"\r" in data
        events: list[bytes] = []
        start = 0
        scan = self._scanned
        while (end := self._end(buffer, start, scan)) >= 0:
            if end - start > self.max_event:
                break
            events.append(bytes(buffer[start:end]))
            start = scan = end
        self._keep(buffer, start)
        if len(self._held) > self.max_event:
            raise EventTooLarge(self.max_event, events)
        return events

    def take(self, data: bytes) -> bytes:
        """The events that ``data`` completes, joined: `feed` for whoever need not tell them apart, at a fraction of its
        cost. Raises `EventTooLarge`.
        """
        held = self._held
        if self._has_cr or len(held) + len(data) > self.max_event or b"\r" in data:
            return b"".join(self.feed(data))
        end = data.rfind(b"\n\n") + 2
        if end == 1:
            end = int(data.startswith(b"\n") and (not held or held.endswith(b"\n")))
        if not end:
            held += data
            self._scanned = max(0, len(held) - 3)
            return b""
        events = data if end == len(data) else data[:end]
        if held:
            events = bytes(held) + events
            held.clear()
        if end < len(data):
            held += data[end:]
        self._scanned = max(0, len(held) - 3)
        return events

    def flush(self) -> bytes:
        """What no blank line has ended yet; the splitter is empty afterwards."""
        rest = bytes(self._held)
        self._held.clear()
        self._scanned = 0
        self._has_cr = False
        return rest

    def _end(self, buffer: bytes | bytearray, start: int, scan: int) -> int:
        """Where the event at ``start`` ends, or -1 while it does not; ``scan`` is where to go on searching."""
        if not self._has_cr:
            if buffer[start : start + 1] == b"\n":
                return start + 1
            found = buffer.find(b"\n\n", scan)
            return found + 2 if found >= 0 else -1
        first = _LINE_END.match(buffer, start)
        found_at = first or _BLANK_LINE.search(buffer, scan)
        if found_at is None:
            return -1
        end = found_at.end()
        return -1 if end == len(buffer) and buffer[end - 1] == 0x0D else end

    def _keep(self, buffer: bytes | bytearray, start: int) -> None:
        if buffer is self._held:
            del self._held[:start]
        else:
            self._held += buffer[start:]
        # A blank line is at most four bytes, so it may have begun in the last three.
        self._scanned = max(0, len(self._held) - 3)
        if not self._held:
            self._has_cr = False


def split_events(events: bytes) -> list[bytes]:
    """``events`` (whole ones, one behind the other), each for itself."""
    splitter = EventSplitter(len(events))
    each = splitter.feed(events)
    # A bare CR at the end might be half of a line end to the splitter; these are whole.
    rest = splitter.flush()
    return [*each, rest] if rest else each


def first_event(events: bytes) -> tuple[bytes, bytes]:
    """The first of ``events`` (whole ones, one behind the other, at least one), and the others."""
    if b"\r" in events:
        # Only as far as the first one goes: whoever takes one after the other would split all of them each time.
        found = _LINE_END.match(events) or _BLANK_LINE.search(events)
        end = len(events) if found is None else found.end()
    else:
        end = 1 if events.startswith(b"\n") else events.find(b"\n\n") + 2
    return events[:end], events[end:]


def event_data(event: bytes) -> bytes:
    """The event's ``data`` lines, joined by LF; empty when it has none (a comment, a lone ``event:``)."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]
    return b"\n".join(_fields(event, b"data"))


def event_value(event: bytes) -> Any:
    """The event's data as JSON, ``None`` for what is none (``[DONE]``, a comment).

    Half a surrogate pair is read as U+FFFD, bytes that are no UTF-8 as well, and ``NaN`` as null: some providers send
    them and clients read them, so whoever looks for something in the event has to.
    """
    data = event_data(event)
    try:
        return msgspec.json.decode(data)
    except ValueError:
        if not data.lstrip().startswith((b"{", b"[{")):
            return None
    try:
        value = json.loads(data.decode("utf-8", "replace"), parse_constant=lambda name: None)
    except ValueError:
        return None
    plain = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.loads(plain)


def event_name(event: bytes) -> str | None:
    """The event's ``event`` field, or ``None`` when it has none or an empty one."""
    if b"event" not in event:
        return None
    values = _fields(event, b"event")
    return values[-1].decode("utf-8", "replace") or None if values else None


def encode_event(data: bytes, name: str | None = None) -> bytes:
    """An event of this data and name, in LF lines. Raises `ValueError` for a name with a line end in it.

    Data may have several lines; their ends are read back as LF, whatever they were.
    """
    lines = (
        [b"data: " + line for line in _LINE_END.split(data)] if b"\n" in data or b"\r" in data else [b"data: " + data]
    )
    if name is not None:
        if "\n" in name or "\r" in name:
            raise ValueError("the name of a server-sent event cannot hold a line end")
        lines.insert(0, b"event: " + name.encode())
    return b"\n".join(lines) + b"\n\n"


def _fields(event: bytes, name: bytes) -> list[bytes]:
    values = []
    # bytes.splitlines knows exactly the three line ends of the specification.
    for line in event.removeprefix(_BOM).splitlines():
        field, _, value = line.partition(b":")
        if field == name:
            values.append(value.removeprefix(b" "))
    return values
