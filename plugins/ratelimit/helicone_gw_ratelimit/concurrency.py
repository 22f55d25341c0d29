"""Leases: how many exchanges are under way, each with a lease that ends by itself if its process dies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from helicone_gw import StoreOperation

if TYPE_CHECKING:
    from helicone_gw import LocalKeys
    from helicone_gw_ratelimit.limits import Argument, Fields


class Leases:
    """The kind. A claim's arguments: how many may be under way, an id of its own, the lease's length in microseconds.

    The first field is how many are under way. A settlement's arguments: the id. `RENEW` gives leases their full
    length again.
    """

    name: ClassVar[str] = "leases"

    def check(
        self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int
    ) -> tuple[bool, dict[str, int]]:
        """See `Kind.check`."""
        held: dict[str, int] = store.get(keys[0]) or {}
        if len(held) >= arguments[0]:
            for holder in [holder for holder, ends in held.items() if ends <= now]:
                del held[holder]
        return len(held) < arguments[0], held

    def report(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int, found: Any) -> Fields:
        """See `Kind.report`."""
        return len(found), 0, 0, 0

    def take(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int, found: Any) -> Fields:
        """See `Kind.take`."""
        _, holder, lease = arguments
        if not found:
            # It stays while anything is under way: what is gone with this process needs no expiry.
            store.set(keys[0], found)
        found[holder] = now + lease
        return len(found), 0, 0, 0

    def settle(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int) -> Fields:
        """See `Kind.settle`."""
        held: dict[str, int] | None = store.get(keys[0])
        if held is None:
            return 0, 0, 0, 0
        held.pop(arguments[0], None)
        if not held:
            store.delete(keys[0])
        return len(held), 0, 0, 0

    lua: ClassVar[str] = """{
  check = function(keys, args, now)
    redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', string.format('%.0f', now))
    local count = redis.call('ZCARD', keys[1])
    return count < tonumber(args[1]), count
  end,
  report = function(keys, args, now, found)
    return {found, 0, 0, 0}
  end,
  take = function(keys, args, now, found)
    local lease = tonumber(args[3])
    redis.call('ZADD', keys[1], string.format('%.0f', now + lease), args[2])
    redis.call('PEXPIRE', keys[1], string.format('%.0f', math.ceil(lease / 1000)))
    return {found + 1, 0, 0, 0}
  end,
  settle = function(keys, args, now)
    redis.call('ZREM', keys[1], args[1])
    return {redis.call('ZCARD', keys[1]), 0, 0, 0}
  end,
}"""


def _renew(
    store: LocalKeys, keys: Sequence[str], arguments: Sequence[Argument], now: float
) -> list[int | bytes | None]:
    held: dict[str, int] = store.get(keys[0]) or {}
    ends = round(now * 1_000_000) + int(arguments[0])
    for holder in arguments[1:]:
        if holder in held:
            held[str(holder)] = ends
    return [len(held)]


RENEW = StoreOperation(
    "ratelimit.renew",
    """
local time = redis.call('TIME')
local ends = tonumber(time[1]) * 1000000 + tonumber(time[2]) + tonumber(ARGV[1])
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', string.format('%.0f', ends), ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(tonumber(ARGV[1]) / 1000)))
return {redis.call('ZCARD', KEYS[1])}
""",
    _renew,
)
"""Lease again what still is: an exchange that was released meanwhile does not come back.

Key: the limit's. Arguments: the lease in microseconds, and the ids under way.
"""
