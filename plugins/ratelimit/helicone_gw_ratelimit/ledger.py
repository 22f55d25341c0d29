"""Ledger: the accounts of budgets, exact to the nano-dollar: spent, and reserved for what is under way.

An account belongs to one budget, one segment (a user, a key, ...) and one period. ``ledger.lua`` has the same rules
for Redis. A reservation may have a lease: where its process dies, it is let go when the lease ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar

from helicone_gw import StoreOperation
from helicone_gw_ratelimit.account import UNKNOWN, Account
from helicone_gw_ratelimit.limits import SERVER_TIME

if TYPE_CHECKING:
    from helicone_gw import LocalKeys
    from helicone_gw_ratelimit.limits import Argument, Fields

LUA = files(__package__).joinpath("ledger.lua").read_text("utf-8")

CROSSED = 16
"""``fields[3]`` of a settlement is ``bucket * CROSSED + level``: alert levels are below it."""

REFUSED, EXTENDED, GONE = 0, 1, 2
"""What `Ledger.extend` answers."""


class BudgetKind:
    """The kind of claim that budgets make (`limits.Kind`). Keys: the account's hash, and its leases.

    A claim's arguments: id, amount, limit (negative: none), lease (microseconds, 0: none), how long the store keeps the
    account (milliseconds), width of a rolling window's parts (microseconds, 0: a calendar period), number of parts,
    reservations at once (0: any number). Fields of ``report`` and ``take``: spent, reserved, generation (`UNKNOWN`:
    refused until `Ledger.seed`), and when waiting would help (microseconds, rolling windows only, else 0).

    A settlement's arguments: id, actual amount, lease, keep, width, number of parts, then the alert thresholds,
    ascending. With a lease, who settles again within it changes nothing: the answer may have been lost on its way.
    Its fields: spent, spent in the part that it went to, generation, and part and level crossed (see `CROSSED`).
    """

    name: ClassVar[str] = "budget"
    lua: ClassVar[str] = LUA

    def check(
        self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int
    ) -> tuple[bool, tuple[int, int, int, int]]:
        """See `Kind.check`."""
        _, amount, limit, _, _, width, count, in_flight = arguments
        account: Account | None = store.get(keys[0])
        if account is None:
            return False, (0, 0, UNKNOWN, amount - limit)
        account.expire(now)
        spent, reserved = account.total(width, count, now), account.reserved
        excess = spent + reserved + amount - limit
        room = not in_flight or len(account.held) < in_flight
        ok = account.generation >= 0 and (limit < 0 or excess <= 0) and room
        return ok, (spent, reserved, account.generation, excess)

    def report(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int, found: Any) -> Fields:
        """See `Kind.report`."""
        spent, reserved, generation, excess = found
        account: Account | None = store.get(keys[0])
        free = 0
        if account is not None and arguments[2] >= 0 and excess > 0:
            free = account.free_at(arguments[5], arguments[6], now, excess)
        return spent, reserved, generation, free

    def take(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int, found: Any) -> Fields:
        """See `Kind.take`."""
        holder, amount, _, lease, keep, *_ = arguments
        account = _kept(store, keys[0], keep, now)
        account.hold(holder, amount, lease, now)
        return found[0], found[1] + amount, found[2], 0

    def settle(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int) -> Fields:
        """See `Kind.settle`."""
        holder, actual, lease, keep, width, count, *thresholds = arguments
        account = _kept(store, keys[0], keep, now)
        account.expire(now)
        account.let_go(holder)
        if lease and not account.settled(f"={holder}", now + lease):
            actual = 0
        part, number = account.add(actual, width, count, now)
        total, crossed = account.total(width, count, now), 0
        if account.generation >= 0:
            reached = _level(total, thresholds)
            crossed = reached if reached > account.level else 0
            account.level = reached
        return total, part, account.generation, number * CROSSED + crossed


class Ledger:
    """What is done with accounts beside claims. ``clock`` is Lua that sets ``now``; tests set their own."""

    def __init__(self, clock: str = "") -> None:
        prelude = f"{clock or SERVER_TIME}\nlocal budget = {LUA.strip()}\n"

        def operation(name: str, local: Callable[..., list[int | bytes | None]], lua: str = "") -> StoreOperation:
            script = lua or f"return budget.{name}(KEYS, ARGV, now)"
            return StoreOperation(f"ratelimit.budget.{name}", prelude + script, local)

        self.extend = operation("extend", _extend, _EXTEND)
        """Raise reservations of one exchange, all or none; none becomes less, for a renewal may come late. Keys: two an
        account. Arguments: id, number of accounts, then for each: new amount, limit (negative: none), lease, keep,
        width, number of parts. Answers `EXTENDED`, `REFUSED`, or `GONE`: a reservation that was let go, or settled,
        does not come back."""
        self.seed = operation("seed", _seed)
        """Tell an account what was spent before; once it knows, nothing changes. Arguments: generation, keep, width,
        number of parts, number of thresholds, these, then pairs of part and amount. Answers its generation."""
        self.read = operation("read", _read)
        """Arguments: width, number of parts. Answers spent, reserved, generation, number of reservations."""
        self.adopt = operation("adopt", _adopt)
        """Tell an account what was spent in all, here and elsewhere, if that is more than it knows. Arguments:
        generation, width, number of parts, part, total, then the alert thresholds. Answers how much more it was."""
        self.reset = operation("reset", _reset)
        """Begin a new generation in which nothing was spent, in an account that was seeded: others are told of it by
        their seed. Arguments: generation, keep. Answers whether it is new."""


_EXTEND = """
local claims = {}
for i = 1, tonumber(ARGV[2]) do
  local at = 3 + (i - 1) * 6
  local claim = {keys = {KEYS[2 * i - 1], KEYS[2 * i]}}
  for j = 0, 5 do
    claim[j] = tonumber(ARGV[at + j])
  end
  claim[0] = math.max(claim[0], tonumber(redis.call('HGET', claim.keys[1], 'c:' .. ARGV[1]) or '0'))
  local can = budget.extendable(claim.keys, ARGV[1], claim[0], claim[1], claim[4], claim[5], now)
  if not can then
    return {can == nil and 2 or 0}
  end
  claims[i] = claim
end
for _, claim in ipairs(claims) do
  budget.hold(claim.keys, ARGV[1], claim[0], claim[2], claim[3], now)
end
return {1}
"""


def _extend(
    store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], seconds: float
) -> list[int | bytes | None]:
    now = round(seconds * 1_000_000)
    holder, number = arguments[0], arguments[1]
    claims: list[tuple[Account, int, int]] = []
    for index in range(number):
        amount, limit, lease, keep, width, count = arguments[2 + 6 * index : 8 + 6 * index]
        account = _kept(store, keys[2 * index], keep, now)
        account.expire(now)
        if holder not in account.held:
            return [GONE]
        amount = max(amount, account.held[holder])
        taken = account.total(width, count, now) + account.reserved - account.held[holder]
        if limit >= 0 and taken + amount > limit:
            return [REFUSED]
        claims.append((account, amount, lease))
    for account, amount, lease in claims:
        account.hold(holder, amount, lease, now)
    return [EXTENDED]


def _seed(
    store: LocalKeys, keys: Sequence[str], arguments: Sequence[Argument], seconds: float
) -> list[int | bytes | None]:
    generation, keep, width, count, number = (int(argument) for argument in arguments[:5])
    now = round(seconds * 1_000_000)
    account = _kept(store, keys[0], keep, now)
    if account.generation == UNKNOWN:
        account.generation = generation
        pairs = [int(argument) for argument in arguments[5 + number :]]
        for part, amount in zip(pairs[::2], pairs[1::2], strict=True):
            if width:
                account.parts[part] = account.parts.get(part, 0) + amount
            else:
                account.spent += amount
        thresholds = [int(argument) for argument in arguments[5 : 5 + number]]
        account.level = _level(account.total(width, count, now), thresholds)
    return [account.generation]


def _read(store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], seconds: float) -> list[int | bytes | None]:
    account: Account | None = store.get(keys[0])
    if account is None:
        return [0, 0, UNKNOWN, 0]
    now = round(seconds * 1_000_000)
    account.expire(now)
    width, count = arguments
    return [account.total(width, count, now), account.reserved, account.generation, len(account.held)]


def _adopt(store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], seconds: float) -> list[int | bytes | None]:
    generation, width, count, part, total, *thresholds = arguments
    account: Account | None = store.get(keys[0])
    if account is None or account.generation != generation:
        return [0]
    more: int = total - (account.parts.get(part, 0) if width else account.spent)
    if more <= 0:
        return [0]
    if width:
        account.parts[part] = total
    else:
        account.spent = total
    account.level = _level(account.total(width, count, round(seconds * 1_000_000)), thresholds)
    return [more]


def _reset(store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], seconds: float) -> list[int | bytes | None]:
    generation, keep = arguments
    account: Account | None = store.get(keys[0])
    if account is None or account.generation == UNKNOWN or account.generation >= generation:
        return [0]
    _kept(store, keys[0], keep, round(seconds * 1_000_000))
    account.generation, account.spent, account.level = generation, 0, 0
    account.parts.clear()
    return [1]


def _kept(store: LocalKeys, key: str, keep: int, now: int) -> Account:
    """The account, which the store then keeps for at least half of ``keep`` milliseconds."""
    account: Account = store.get(key) or Account()
    # An expiry that is set anew for every request would cost as much as all the rest.
    if account.keep_until < now + keep * 500:
        account.keep_until = now + keep * 1000
        store.set(key, account, keep / 1000)
    return account


def _level(total: int, thresholds: Sequence[int]) -> int:
    return sum(total >= threshold for threshold in thresholds)
