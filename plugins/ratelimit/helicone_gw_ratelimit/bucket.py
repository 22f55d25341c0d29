"""Bucket: a token bucket in exact whole numbers, which starts full and refills evenly (GCRA with a remainder).

A balance below the quota is told as the time until it is full again: so many whole microseconds, and a remainder in
units of 1/quota microseconds. Taking ``amount`` moves that time on by ``amount * window / quota``; the bucket admits
while the time does not exceed the window. No number is ever rounded, and every one stays below 2^53, so that Lua's
arithmetic is exact too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from helicone_gw import LocalKeys
    from helicone_gw_ratelimit.limits import Argument, Fields

MAX_DEBT = 2**52
"""Longest time until full, in microseconds (142 years): a debt that would take longer is cut to it."""

GRACE = 60_000_000
"""Microseconds that a full bucket is kept; it is then what a new one is."""

ALL, SOME = 1, 0
"""What a claim asks for: the whole amount, or admission above nothing and as much as there is."""

Gap = tuple[int, int]
"""Time until full: microseconds, and a remainder in 1/quota microseconds."""


def gap(amount: int, quota: int, window: int) -> Gap:
    """How long a bucket needs to refill ``amount``; negative amounts give negative times, remainders never are."""
    return divmod(amount * window, quota)


def amount_left(full_in: Gap, quota: int, window: int) -> int:
    """The balance, rounded down, of a bucket that is full in so long; negative for a debt."""
    return quota - -(-(full_in[0] * quota + full_in[1]) // window)


def amount_of(time: Gap, quota: int, window: int) -> int:
    """The amount that refills in so long, rounded to the nearest: the inverse of `gap`."""
    return (2 * (time[0] * quota + time[1]) + window) // (2 * window)


class Bucket:
    """The kind. Amounts are whole subunits, ``window`` is in microseconds.

    A claim's arguments: quota, window, `ALL` or `SOME`, and the amount's `gap`. Fields of `report`: the gap as it is;
    of `take`: the gap as it is now, and that of what was taken. A settlement's arguments: quota, window, the gap by
    which more (or, negative, less) was used than taken, and the same as an amount; its fields are the gap as it is now.

    State: when it is full (time, remainder), quota, window, and until when the store keeps it. A quota or window that
    changed keeps the balance, cut to the new quota and to whole subunits, and refills at the new rate from then on; a
    full bucket is what a new one is.
    """

    name: ClassVar[str] = "bucket"

    def check(
        self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int
    ) -> tuple[bool, tuple[Any, int, int]]:
        """See `Kind.check`."""
        quota, window, mode, more, remainder = arguments
        state = store.get(keys[0])
        full_in, rest = _found(state, quota, window, now)
        if not mode:
            return full_in < window, (state, full_in, rest)
        if full_in > window:
            # No debt is possible here, so the wall clock was set back: nothing is left, and it refills from now on.
            full_in, rest = window, 0
        whole, left = full_in + more, rest + remainder
        if left >= quota:
            whole, left = whole + 1, left - quota
        return whole < window or (whole == window and left == 0), (state, full_in, rest)

    def report(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int, found: Any) -> Fields:
        """See `Kind.report`."""
        (quota, window, *_), (state, full_in, rest) = arguments, found
        if state is not None and (state[2] != quota or state[3] != window):
            # Another policy holds from now on, also for who was refused: the wait that is told is at its rate.
            _keep(store, keys[0], state, full_in, rest, quota, window, now)
        return full_in, rest, 0, 0

    def take(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int, found: Any) -> Fields:
        """See `Kind.take`."""
        quota, window, mode, more, remainder = arguments
        state, full_in, rest = found
        whole, left = full_in + more, rest + remainder
        if left >= quota:
            whole, left = whole + 1, left - quota
        if not mode and whole >= window:
            # As much as there is: the bucket is then empty, and the rest is settled.
            whole, left = window, 0
            more, remainder = whole - full_in, -rest
            if remainder < 0:
                more, remainder = more - 1, remainder + quota
        _keep(store, keys[0], state, whole, left, quota, window, now)
        return whole, left, more, remainder

    def settle(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int) -> Fields:
        """See `Kind.settle`."""
        quota, window, more, remainder, amount = arguments
        state = store.get(keys[0])
        if state is not None and (state[2] != quota or state[3] != window) and not _is_full(state, now):
            quota, window = state[2], state[3]
            more, remainder = _cut(gap(amount, quota, window))
        full_in, rest = _found(state, quota, window, now)
        whole, left = full_in + more, rest + remainder
        if left >= quota:
            whole, left = whole + 1, left - quota
        if whole < 0:
            whole, left = 0, 0
        elif whole >= MAX_DEBT:
            whole, left = MAX_DEBT, 0
        if state is not None or whole or left:
            _keep(store, keys[0], state, whole, left, quota, window, now)
        return whole, left, 0, 0

    lua: ClassVar[str] = """(function()
  local max_debt, grace = 4503599627370496, 60000000
  local function muldiv(a, b, c)
    -- floor(a * b / c) and the remainder, bit by bit, exact for c below 2^52.
    local quotient, rest, part, over = 0, 0, math.floor(a / c), math.fmod(a, c)
    local bit = 1
    while bit * 2 <= b do
      bit = bit * 2
    end
    while bit >= 1 do
      quotient, rest = quotient * 2, rest * 2
      if rest >= c then
        quotient, rest = quotient + 1, rest - c
      end
      if b >= bit then
        b = b - bit
        quotient, rest = quotient + part, rest + over
        if rest >= c then
          quotient, rest = quotient + 1, rest - c
        end
      end
      bit = bit / 2
    end
    return quotient, rest
  end
  local function gap(amount, quota, window)
    if amount / quota * window < 2 * max_debt then
      local whole, rest = muldiv(amount, window, quota)
      if whole < max_debt then
        return whole, rest
      end
    end
    return max_debt, 0
  end
  local function read(key, now)
    local text = redis.call('GET', key)
    if not text then
      return nil
    end
    local full, rest, quota, window = string.match(text, '^(%d+) (%d+) (%d+) (%d+)$')
    full, rest = tonumber(full), tonumber(rest)
    if full < now or (full == now and rest == 0) then
      return nil
    end
    return {full = full, rest = rest, quota = tonumber(quota), window = tonumber(window)}
  end
  local function found(state, quota, window, now)
    if not state then
      return 0, 0
    end
    local full_in, rest = state.full - now, state.rest
    if state.quota == quota and state.window == window then
      return full_in, rest
    end
    local gone, over = muldiv(full_in, state.quota, state.window)
    if over + rest > 0 then
      gone = gone + math.ceil((over + rest) / state.window)
    end
    return gap(math.max(quota - (state.quota - gone), 0), quota, window)
  end
  local function carried(full_in, rest, quota)
    if rest >= quota then
      return full_in + 1, rest - quota
    end
    return full_in, rest
  end
  local function keep(key, full_in, rest, quota, window, now)
    redis.call('SET', key, string.format('%.0f %.0f %.0f %.0f', now + full_in, rest, quota, window),
      'PX', string.format('%.0f', math.ceil((full_in + grace) / 1000)))
  end
  local function numbers(args)
    local all = {}
    for i, text in ipairs(args) do
      all[i] = tonumber(text)
    end
    return unpack(all)
  end
  return {
    check = function(keys, args, now)
      local quota, window, mode, more, remainder = numbers(args)
      local state = read(keys[1], now)
      local full_in, rest = found(state, quota, window, now)
      local changed = state and (state.quota ~= quota or state.window ~= window)
      if mode == 0 then
        return full_in < window, {full_in, rest, changed}
      end
      if full_in > window then
        full_in, rest = window, 0
      end
      local whole, left = carried(full_in + more, rest + remainder, quota)
      return whole < window or (whole == window and left == 0), {full_in, rest, changed}
    end,
    report = function(keys, args, now, found)
      if found[3] then
        keep(keys[1], found[1], found[2], tonumber(args[1]), tonumber(args[2]), now)
      end
      return {found[1], found[2], 0, 0}
    end,
    take = function(keys, args, now, found)
      local quota, window, mode, more, remainder = numbers(args)
      local whole, left = carried(found[1] + more, found[2] + remainder, quota)
      if mode == 0 and whole >= window then
        whole, left = window, 0
        more, remainder = whole - found[1], -found[2]
        if remainder < 0 then
          more, remainder = more - 1, remainder + quota
        end
      end
      keep(keys[1], whole, left, quota, window, now)
      return {whole, left, more, remainder}
    end,
    settle = function(keys, args, now)
      local quota, window, more, remainder, amount = numbers(args)
      local state = read(keys[1], now)
      if state and (state.quota ~= quota or state.window ~= window) then
        quota, window = state.quota, state.window
        more, remainder = gap(math.abs(amount), quota, window)
        if amount < 0 then
          more, remainder = -more, -remainder
          if remainder < 0 then
            more, remainder = more - 1, remainder + quota
          end
        end
      end
      local full_in, rest = found(state, quota, window, now)
      local whole, left = carried(full_in + more, rest + remainder, quota)
      if whole < 0 then
        whole, left = 0, 0
      elseif whole >= max_debt then
        whole, left = max_debt, 0
      end
      if state or whole > 0 or left > 0 then
        keep(keys[1], whole, left, quota, window, now)
      end
      return {whole, left, 0, 0}
    end,
  }
end)()"""


def settlement(taken: Gap, actual: int, quota: int, window: int) -> tuple[Argument, ...] | None:
    """The arguments that put ``actual`` in the place of what was ``taken``; ``None`` when they are the same."""
    whole, rest = gap(actual, quota, window)
    whole, rest = whole - taken[0], rest - taken[1]
    if rest < 0:
        whole, rest = whole - 1, rest + quota
    if whole == 0 and rest == 0:
        return None
    return quota, window, *_cut((whole, rest)), actual - amount_of(taken, quota, window)


def _cut(time: Gap) -> Gap:
    return time if -MAX_DEBT <= time[0] < MAX_DEBT else (MAX_DEBT if time[0] > 0 else -MAX_DEBT, 0)


def _found(state: Any, quota: int, window: int, now: int) -> Gap:
    """The gap of what is in the store, under the quota and window that hold now."""
    if state is None or _is_full(state, now):
        return 0, 0
    full, rest, old_quota, old_window, _ = state
    if old_quota == quota and old_window == window:
        return full - now, rest
    converted = gap(max(quota - amount_left((full - now, rest), old_quota, old_window), 0), quota, window)
    return _cut(converted)


def _is_full(state: Any, now: int) -> bool:
    return bool(state[0] < now or (state[0] == now and state[1] == 0))


def _keep(store: LocalKeys, key: str, state: Any, full_in: int, rest: int, quota: int, window: int, now: int) -> None:
    full = now + full_in
    if state is not None and full <= state[4]:
        # The store keeps it long enough; an expiry that is set anew would cost as much as all the rest.
        state[:4] = full, rest, quota, window
        return
    keep_for = max(full_in, window) + GRACE
    store.set(key, [full, rest, quota, window, now + keep_for - GRACE], keep_for / 1_000_000)
