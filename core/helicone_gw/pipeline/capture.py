"""CaptureBuffer: a bounded copy of what goes by, and how much that was."""

from __future__ import annotations


class CaptureBuffer:
    """Keeps the first ``limit`` bytes of what goes by."""

    __slots__ = ("_limit", "_pieces", "kept", "size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self.kept = 0
        self.size = 0

    def add(self, data: bytes) -> None:
        """Note ``data``."""
        self.size += len(data)
        if self.kept < self._limit:
            piece = data[: self._limit - self.kept]
            self._pieces.append(piece)
            self.kept += len(piece)

    def joined(self) -> bytes:
        """What was kept."""
        return b"".join(self._pieces)
