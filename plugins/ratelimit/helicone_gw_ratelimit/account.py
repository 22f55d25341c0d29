"""Account: what one segment spent of a budget in one period, and what it holds for requests under way, in memory."""

from __future__ import annotations

import heapq

UNKNOWN = -1
"""The generation of an account that the store does not know: what was spent before must be told to it first."""

_HARVEST = 1000
"""Leases that one call lets go; where more have ended, the rest counts as reserved until the next call."""


class Account:
    """An account in memory. Amounts are nano-dollars; ``parts`` are those of a rolling window, by number."""

    __slots__ = ("ends", "generation", "held", "keep_until", "leases", "level", "parts", "reserved", "spent")

    def __init__(self) -> None:
        self.generation = UNKNOWN
        self.spent = 0
        self.parts: dict[int, int] = {}
        self.reserved = 0
        self.held: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.leases: list[tuple[int, str]] = []
        self.level = 0
        self.keep_until = 0

    def total(self, width: int, count: int, now: int) -> int:
        """What was spent: in the period, or in the last ``count`` parts and the running one."""
        if not width:
            return self.spent
        first = now // width - count
        return sum(amount for number, amount in self.parts.items() if number >= first)

    def free_at(self, width: int, count: int, now: int, excess: int) -> int:
        """When ``excess`` of what was spent will have left the window; 0: not by waiting for that."""
        for number in sorted(self.parts) if width else ():
            if number >= now // width - count:
                excess -= self.parts[number]
                if excess <= 0:
                    return (number + count + 1) * width
        return 0

    def add(self, amount: int, width: int, count: int, now: int) -> tuple[int, int]:
        """Count ``amount`` as spent; the total of the part that it went to, and that part's number."""
        if not width:
            self.spent += amount
            return self.spent, 0
        number = now // width
        if number not in self.parts:
            self.parts = {each: spent for each, spent in self.parts.items() if each >= number - count}
        self.parts[number] = self.parts.get(number, 0) + amount
        return self.parts[number], number

    def hold(self, id: str, amount: int, lease: int, now: int) -> None:
        """Reserve ``amount`` for ``id``, in place of what it holds, for ``lease`` microseconds (0: for good)."""
        self.reserved += amount - self.held.get(id, 0)
        self.held[id] = amount
        if lease:
            self.end_at(id, now + lease)

    def settled(self, mark: str, until: int) -> bool:
        """Remember ``mark`` until then; false: it is remembered already."""
        if mark in self.ends:
            return False
        self.end_at(mark, until)
        return True

    def end_at(self, id: str, when: int) -> None:
        """Let go of ``id`` then."""
        self.ends[id] = when
        heapq.heappush(self.leases, (when, id))
        # Renewed leases leave stale entries behind; rebuilding at twice the size costs a constant amount each.
        if len(self.leases) > 2 * len(self.ends) + 16:
            self.leases = [(end, each) for each, end in self.ends.items()]
            heapq.heapify(self.leases)

    def let_go(self, id: str) -> None:
        """End the reservation of ``id``, if it has one."""
        self.reserved -= self.held.pop(id, 0)
        self.ends.pop(id, None)

    def expire(self, now: int) -> None:
        """End the reservations whose leases have ended."""
        ended = 0
        while self.leases and self.leases[0][0] <= now and ended < _HARVEST:
            end, holder = heapq.heappop(self.leases)
            if self.ends.get(holder) == end:
                self.let_go(holder)
                ended += 1
