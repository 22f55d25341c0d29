"""Window: an exact moving window, which counts what was taken within the last so many seconds.

Each claim is one entry, whatever it costs. Up to `EXACT` entries are kept as they are; while there are more, those of
the same ten-thousandth of the window become one, at that slot's end: it then counts a little longer, never shorter.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from helicone_gw import LocalKeys
    from helicone_gw_ratelimit.limits import Fields

EXACT = 10_000
"""Entries of a window that are told apart in any case; there are never more than twice as many."""

SLACK = 60.0
"""Seconds that an empty window is kept."""


class Entries:
    """The entries of one window in memory: [time, amount] by id, oldest first, and their sum."""

    __slots__ = ("by_id", "kept_until", "used")

    def __init__(self) -> None:
        self.by_id: OrderedDict[str, list[int]] = OrderedDict()
        self.used = 0
        self.kept_until = 0


class Window:
    """The kind. Amounts are whole subunits, ``window`` is in microseconds.

    A claim's keys: entries, amounts. Its arguments: quota, window, `bucket.ALL` or `bucket.SOME`, the amount, and an id
    of its own. Fields of `report`: what is used, in how many microseconds the claim could be met, and the window be
    empty. Of `take`: what is used, what was taken, when it is empty, and the entry's id. A settlement's arguments:
    window, the entry's id, the claim's, and by how much more (or, negative, less) was used; what exceeds the claim
    counts from now on. Its field is what is used.
    """

    name: ClassVar[str] = "window"

    def check(
        self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int
    ) -> tuple[bool, Entries | None]:
        """See `Kind.check`."""
        quota, window, mode, amount, _ = arguments
        entries = _current(store, keys[0], window, now)
        used = 0 if entries is None else entries.used
        return used + amount <= quota if mode else used < quota, entries

    def report(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int, found: Any) -> Fields:
        """See `Kind.report`."""
        quota, window, mode, amount, _ = arguments
        if found is None or not found.by_id:
            return 0, 0, 0, 0
        most = quota - amount if mode else quota - 1
        left, at = found.used, now - window - 1
        for time, cost in found.by_id.values():
            if left <= most:
                break
            left, at = left - cost, time
        return found.used, at + window + 1 - now, _newest(found) + window + 1 - now, 0

    def take(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int, found: Any) -> Fields:
        """See `Kind.take`."""
        quota, window, mode, amount, own = arguments
        entries = Entries() if found is None else found
        taken = amount if mode else min(amount, quota - entries.used)
        kept = _add(entries, own, taken, window, now)
        _keep(store, keys[0], entries, window, now)
        return entries.used, taken, _newest(entries) + window + 1 - now, kept.encode()

    def settle(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int) -> Fields:
        """See `Kind.settle`."""
        window, kept, own, more = arguments
        entries = _current(store, keys[0], window, now)
        if more > 0:
            entries = entries or Entries()
            _add(entries, f"{own}+", more, window, now)
            _keep(store, keys[0], entries, window, now)
        elif entries is not None and (entry := entries.by_id.get(kept)) is not None:
            less = min(-more, entry[1])
            entry[1] -= less
            entries.used -= less
        return 0 if entries is None else entries.used, 0, 0, 0

    lua: ClassVar[str] = """(function()
  local exact, slack = 10000, 60000
  local function text(number)
    return string.format('%.0f', number + 0)  -- -0 is no number to Redis
  end
  local function used(keys)
    return tonumber(redis.call('HGET', keys[2], 'sum') or '0')
  end
  local function newest(keys)
    local last = redis.call('ZREVRANGE', keys[1], 0, 0, 'WITHSCORES')
    return last[1], tonumber(last[2] or '0')
  end
  local function expire(keys, window, now)
    while true do
      local old = redis.call('ZRANGEBYSCORE', keys[1], '-inf', '(' .. text(now - window), 'LIMIT', 0, 500)
      if #old == 0 then
        if redis.call('EXISTS', keys[1]) == 0 then
          redis.call('DEL', keys[2])  -- no sum without entries, also where Redis evicted those alone
        end
        return
      end
      local gone = 0
      for _, amount in ipairs(redis.call('HMGET', keys[2], unpack(old))) do
        gone = gone + tonumber(amount or '0')
      end
      redis.call('ZREM', keys[1], unpack(old))
      redis.call('HDEL', keys[2], unpack(old))
      if gone > 0 then
        redis.call('HINCRBY', keys[2], 'sum', text(-gone))
      end
    end
  end
  local function add(keys, id, amount, window, now)
    local last, at = newest(keys)
    local time = math.max(now, at)
    if redis.call('ZCARD', keys[1]) >= exact then
      local slot = math.floor(window / exact)
      time = math.max(math.ceil(now / slot) * slot, at)
      if at == time then
        id = last
      end
    end
    redis.call('ZADD', keys[1], text(time), id)
    redis.call('HINCRBY', keys[2], id, text(amount))
    redis.call('HINCRBY', keys[2], 'sum', text(amount))
    for _, key in ipairs(keys) do
      redis.call('PEXPIRE', key, text(math.ceil(window / 1000) + slack))
    end
    return id
  end
  return {
    check = function(keys, args, now)
      local quota, window, amount = tonumber(args[1]), tonumber(args[2]), tonumber(args[4])
      expire(keys, window, now)
      local sum = used(keys)
      if args[3] == '0' then
        return sum < quota, sum
      end
      return sum + amount <= quota, sum
    end,
    report = function(keys, args, now, found)
      local quota, window, amount = tonumber(args[1]), tonumber(args[2]), tonumber(args[4])
      local _, last = newest(keys)
      if last == 0 then
        return {0, 0, 0, 0}
      end
      local most = args[3] == '0' and quota - 1 or quota - amount
      local left, at, from = found, now - window - 1, 0
      while left > most do
        local some = redis.call('ZRANGE', keys[1], from, from + 99, 'WITHSCORES')
        if #some == 0 then
          break
        end
        for i = 1, #some, 2 do
          if left > most then
            left = left - tonumber(redis.call('HGET', keys[2], some[i]) or '0')
            at = tonumber(some[i + 1])
          end
        end
        from = from + 100
      end
      return {found, at + window + 1 - now, last + window + 1 - now, 0}
    end,
    take = function(keys, args, now, found)
      local quota, window, amount = tonumber(args[1]), tonumber(args[2]), tonumber(args[4])
      if args[3] == '0' then
        amount = math.min(amount, quota - found)
      end
      local id = add(keys, args[5], amount, window, now)
      local _, last = newest(keys)
      return {found + amount, amount, last + window + 1 - now, id}
    end,
    settle = function(keys, args, now)
      local window, more = tonumber(args[1]), tonumber(args[4])
      expire(keys, window, now)
      if more > 0 then
        add(keys, args[3] .. '+', more, window, now)
      else
        local amount = tonumber(redis.call('HGET', keys[2], args[2]) or '0')
        local less = math.min(-more, amount)
        if less > 0 then
          redis.call('HINCRBY', keys[2], args[2], text(-less))
          redis.call('HINCRBY', keys[2], 'sum', text(-less))
        end
      end
      return {used(keys), 0, 0, 0}
    end,
  }
end)()"""


def _current(store: LocalKeys, key: str, window: int, now: int) -> Entries | None:
    """The window in the store, after what is too old was taken out of it."""
    entries: Entries | None = store.get(key)
    if entries is None:
        return None
    by_id, oldest = entries.by_id, now - window
    while by_id:
        first = next(iter(by_id))
        time, amount = by_id[first]
        if time >= oldest:
            break
        del by_id[first]
        entries.used -= amount
    return entries


def _newest(entries: Entries) -> int:
    return entries.by_id[next(reversed(entries.by_id))][0] if entries.by_id else 0


def _add(entries: Entries, own: str, amount: int, window: int, now: int) -> str:
    """Add an entry, or to the newest one where there are very many; the id under which it is now."""
    newest = _newest(entries)
    time = max(now, newest)
    if len(entries.by_id) >= EXACT:
        slot = window // EXACT
        time = max(-(-now // slot) * slot, newest)
        if newest == time:
            own = next(reversed(entries.by_id))
    if own in entries.by_id:
        entries.by_id[own][1] += amount
    else:
        entries.by_id[own] = [time, amount]
    entries.used += amount
    return own


def _keep(store: LocalKeys, key: str, entries: Entries, window: int, now: int) -> None:
    until = now + window
    if until > entries.kept_until:
        # Kept for two windows, so that the expiry is set anew once a window and not with every request.
        entries.kept_until = now + 2 * window
        store.set(key, entries, 2 * window / 1_000_000 + SLACK)
