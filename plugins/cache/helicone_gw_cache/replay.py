"""Replay: a stored stream on its way to another client, at once or at its first pace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from helicone_gw_cache.entry import Entry


class AtOnce:
    """Everything in one piece: an asynchronous iterator that never waits."""

    __slots__ = ("_data",)

    def __init__(self, entry: Entry) -> None:
        self._data: bytes | None = b"".join(entry.frames)

    def __aiter__(self) -> AtOnce:
        return self

    async def __anext__(self) -> bytes:
        """The whole stream, the first time."""
        data, self._data = self._data, None
        if not data:
            raise StopAsyncIteration
        return data


async def paced(entry: Entry, sleep: Callable[[float], Awaitable[None]], longest_gap: float) -> AsyncIterator[bytes]:
    """The events with the pauses that were between them, each at most ``longest_gap`` seconds."""
    for gap, data in _bursts(entry):
        if gap:
            await sleep(min(gap / 1000, longest_gap))
        yield data


def _bursts(entry: Entry) -> Iterator[tuple[int, bytes]]:
    """Events that came without a pause between them, together, each with the pause before it in milliseconds."""
    gaps = entry.gaps_ms if len(entry.gaps_ms) == len(entry.frames) else (0,) * len(entry.frames)
    burst: list[bytes] = []
    before = 0
    for gap, frame in zip(gaps, entry.frames, strict=True):
        if gap and burst:
            yield before, b"".join(burst)
            burst = []
        if not burst:
            before = gap
        burst.append(frame)
    if burst:
        yield before, b"".join(burst)
