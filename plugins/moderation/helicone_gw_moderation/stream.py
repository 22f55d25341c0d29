"""Stream: one streamed answer, held back event by event until what is in it is decided."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec.structs import replace

from helicone_gw import Chunk, TextPiece, event_pieces
from helicone_gw_moderation.endings import ended_channels
from helicone_gw_moderation.held import HeldEvent, HeldText
from helicone_gw_moderation.plan import Hit, Plan
from helicone_gw_moderation.report import ModerationCounters
from helicone_gw_moderation.vault import Vault
from helicone_gw_moderation.waiting import Verdicts
from helicone_gw_moderation.window import Window

MOST_CHANNELS = 256
"""Texts of one stream that are followed over its events; what comes in further ones is decided event by event."""
_DONE = b"data: [DONE]"


class Reader(Protocol):
    """What knows how far the client's stream has come, and ends it in its dialect."""

    def feed(self, event: bytes) -> object:
        """Read an event that leaves."""
        ...

    def closing_events(self, reason: str) -> bytes:
        """Whole events that end it here."""
        ...


class StreamGuard:
    """Takes a stream's events in order and gives those that may leave, in the same order.

    ``dialect`` and ``operation`` are the client's. ``found`` is told of every hit; after one whose action is "block",
    ``blocked`` is set and what is returned ends the stream: nothing follows. Times are monotonic seconds.
    """

    def __init__(
        self,
        plan: Plan,
        vault: Vault | None,
        dialect: str,
        operation: str,
        reader: Reader,
        found: Callable[[Hit], None],
        counters: ModerationCounters,
        *,
        hold: float,
        max_held: int,
        verdicts: Verdicts | None = None,
    ) -> None:
        self.blocked = False
        self.verdicts = verdicts
        self._plan = plan
        self._vault = vault
        self._dialect = dialect
        self._operation = operation
        self._reader = reader
        self._found = found
        self._counters = counters
        self._hold = hold
        self._max_held = max_held
        self._windows: dict[tuple[str | int, ...], Window] = {}
        self._queue: deque[HeldEvent] = deque()
        self._held = 0
        self._replaced = False
        """Whether something in its text was replaced, so that what says it again has to go."""
        self._left = 0
        """Characters that have left, of those that judges are asked about."""
        self._repeats = operation.startswith("responses")
        """Whether whole texts only repeat what came in pieces before."""

    @property
    def holding(self) -> bool:
        """Whether any event is held."""
        return bool(self._queue)

    def feed(self, chunk: Chunk, now: float) -> Sequence[Chunk] | None:
        """What may leave now that ``chunk`` came; ``None``: just that."""
        if self.blocked:
            return ()
        value = chunk.json
        is_plain = _is_plain(value, chunk.data)
        if is_plain:
            chunk = self._plain(chunk)
            value = chunk.json
            if self.blocked:
                return self._leaving(now)
        pieces = event_pieces(self._dialect, self._operation, value)
        ended = ended_channels(value, chunk.data)
        if not pieces and not ended and not self._queue and not self._replaced and not is_plain:
            self._reader.feed(chunk.data)
            return None
        event = HeldEvent(chunk, value, now)
        for piece in pieces:
            self._take_in(event, piece)
        self._queue.append(event)
        self._held += len(chunk.data)
        self._end_channels(ended)
        if self.verdicts is not None:
            event.position = self.verdicts.received
            self._hear(self.verdicts)
        if self._held > self._max_held:
            self._overflow()
        return self._leaving(now)

    def tick(self, now: float) -> Sequence[Chunk]:
        """What may leave because time went by."""
        if self.blocked or not self._queue:
            return ()
        if self.verdicts is not None:
            self._hear(self.verdicts)
        due = now - self._hold
        until: dict[int, tuple[Window, int]] = {}
        for event in self._queue:
            if event.since > due:
                break
            for text in event.texts:
                if not text.decided:
                    until[id(text.window)] = text.window, text.start + len(text.text)
        for window, end in until.values():
            self._take(window.decide(expired=end))
        return self._leaving(now, split=True)

    def end(self, now: float) -> Sequence[Chunk]:
        """What is left when nothing more comes."""
        if self.blocked:
            return ()
        self._end_channels([()])
        verdicts = self.verdicts
        if verdicts is not None:
            self._hear(verdicts)
            if not self.blocked and verdicts.missing:
                if verdicts.closed:
                    self.blocked = True
                else:
                    self._counters.unjudged += len(self._queue)
                    verdicts.covered = verdicts.received
        return self._leaving(now)

    def close(self) -> None:
        """The exchange is over, however it ended."""
        if self.verdicts is not None:
            self.verdicts.close()
        self._queue.clear()

    def _plain(self, chunk: Chunk) -> Chunk:
        """An event that is not an object, or has a comment, as it leaves: whatever it is, it is text to its reader."""
        text = chunk.data.decode("utf-8", "replace")
        window = Window(self._plan, vault=self._vault)
        window.feed(text)
        self._take(window.decide(final=True))
        if self.verdicts is not None and not text.startswith(":"):
            self.verdicts.receive("", text)
        return Chunk(window.changed(0, text).encode()) if window.changes else chunk

    def _take_in(self, event: HeldEvent, piece: TextPiece) -> None:
        window = None if piece.whole else self._window(piece)
        if window is None:
            window = Window(self._plan, vault=self._vault)
            window.feed(piece.text)
            self._take(window.decide(final=True))
            if window.changes:
                event.texts.append(HeldText(window, 0, piece))
        else:
            event.texts.append(HeldText(window, window.received, piece))
            window.feed(piece.text)
            self._take(window.decide())
        if self.verdicts is not None and not (piece.whole and self._repeats):
            self.verdicts.receive(piece.channel, piece.text)

    def _window(self, piece: TextPiece) -> Window | None:
        window = self._windows.get(piece.channel)
        if window is None and len(self._windows) < MOST_CHANNELS:
            window = self._windows[piece.channel] = Window(self._plan, vault=self._vault)
        return window

    def _end_channels(self, prefixes: Sequence[tuple[str | int, ...]]) -> None:
        for prefix in prefixes:
            for channel, window in self._windows.items():
                if channel[: len(prefix)] == prefix and not window.ended:
                    self._take(window.decide(final=True))

    def _take(self, hits: Sequence[Hit]) -> None:
        for hit in hits:
            self._found(hit)
            self.blocked = self.blocked or hit.action == "block"

    def _hear(self, verdicts: Verdicts) -> None:
        self._take([replace(hit, late=self._left) for hit in verdicts.poll()])
        if verdicts.error is not None:
            self.blocked = True

    def _overflow(self) -> None:
        self._counters.overflowed += 1
        for window in self._windows.values():
            self._take(window.decide(final=True))
        if self.verdicts is not None:
            if self.verdicts.closed and self.verdicts.missing:
                self.blocked = True
            self.verdicts.covered = self.verdicts.received

    def _leaving(self, now: float, *, split: bool = False) -> list[Chunk]:
        if self.blocked:
            self._queue.clear()
            return _events(self._reader.closing_events("content_filter"))
        out: list[Chunk] = []
        queue, verdicts = self._queue, self.verdicts
        while queue:
            event = queue[0]
            if verdicts is not None and event.position > verdicts.covered:
                if not verdicts.allows(event.position, now - event.since):
                    break
                self._counters.unjudged += verdicts.missing
            if not event.decided:
                part = event.split() if split else None
                if part is not None:
                    self._replaced = True  # perhaps: it is not looked up
                    self._leave(part, out)
                break
            queue.popleft()
            self._held -= len(event.chunk.data)
            self._left = event.position
            chunk = event.leave()
            self._replaced = self._replaced or chunk is not event.chunk
            self._leave(event.alone() if self._replaced and chunk is event.chunk else chunk, out)
        return out

    def _leave(self, chunk: Chunk, out: list[Chunk]) -> None:
        self._reader.feed(chunk.data)
        out.append(chunk)


def _is_plain(value: object, data: bytes) -> bool:
    """Whether an event is no object, or has a comment, which whoever reads the stream itself sees."""
    if not isinstance(value, dict):
        return data.strip() != _DONE
    return data.startswith(b":") or b"\n:" in data or b"\r:" in data


def _events(data: bytes) -> list[Chunk]:
    return [Chunk(event + b"\n\n") for event in data.split(b"\n\n") if event]
