"""Vectors: unit vectors of 32-bit floats in blocks that double, and the nearest of them by brute force.

Blocks are never copied to grow, so that a thread may search while the event loop adds: what it then reads of a row that
is being written is checked again by the caller (`similarity`), who alone moves rows.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float32]

FIRST: Final = 4
"""Rows of the first block, and of the second; every further block has as many as all before it."""


class Vectors:
    """Rows of one dimension, numbered from 0 without gaps. Owned by one thread; others may only `search`."""

    __slots__ = ("_blocks", "count", "dimensions")

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.count = 0
        self._blocks: tuple[Vector, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes that the blocks take, unused rows included."""
        return sum(block.nbytes for block in self._blocks)

    def append(self, vector: Vector) -> int:
        """Add a unit vector; its row."""
        row = self.count
        index, offset = _place(row)
        if index == len(self._blocks):
            rows = FIRST if index == 0 else FIRST << (index - 1)
            self._blocks = (*self._blocks, np.empty((rows, self.dimensions), np.float32))
        self._blocks[index][offset] = vector
        self.count += 1
        return row

    def remove(self, row: int) -> int:
        """Take a row out. The last row takes its place; the number that this one had."""
        last = self.count - 1
        if row != last:
            index, offset = _place(row)
            self._blocks[index][offset] = self._row(last)
        self.count = last
        needed = 0 if last == 0 else _place(last - 1)[0] + 1
        if len(self._blocks) > needed + 1:  # one to spare, so that a count that wavers allocates nothing
            self._blocks = self._blocks[: needed + 1]
        return last

    def similarity(self, row: int, query: Vector) -> float:
        """The cosine of a row and a unit vector."""
        return float(self._row(row) @ query)

    def search(self, query: Vector, floor: float, limit: int) -> list[int]:
        """At most ``limit`` rows whose cosine with a unit vector is at least ``floor``, nearest first."""
        found: list[tuple[float, int]] = []
        start, count = 0, self.count
        for block in self._blocks:
            rows = min(len(block), count - start)
            if rows <= 0:
                break
            scores = block[:rows] @ query
            near = np.flatnonzero(scores >= floor)
            if len(near) > limit:
                near = near[np.argpartition(scores[near], -limit)[-limit:]]
            found += [(float(scores[each]), start + int(each)) for each in near]
            start += len(block)
        found.sort(reverse=True)
        return [row for _, row in found[:limit]]

    def _row(self, row: int) -> Vector:
        index, offset = _place(row)
        vector: Vector = self._blocks[index][offset]
        return vector


def _place(row: int) -> tuple[int, int]:
    """The block that holds a row, and where in it."""
    index = (row // FIRST).bit_length()
    return (0, row) if index == 0 else (index, row - (FIRST << (index - 1)))


def unit(values: object) -> Vector | None:
    """``values`` as a vector of length 1; ``None`` for what has no direction: empty, zero, infinite, not numbers."""
    try:
        with np.errstate(over="ignore"):
            vector: Vector = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        return None
    if vector.ndim != 1 or not vector.size:
        return None
    wide = vector.astype(np.float64)
    length = float(np.sqrt(wide @ wide))
    if not np.isfinite(length) or length == 0.0:
        return None
    return np.asarray(wide / length, dtype=np.float32)
