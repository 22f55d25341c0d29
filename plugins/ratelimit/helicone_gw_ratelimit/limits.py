"""Limits: what an exchange claims of every limit in force, reserved all or nothing, and settled, in one round trip.

A `Kind` is one way of counting (a bucket, a window, leases, a budget): its rules are written twice, as functions over
the memory store and as Lua for Redis, and `Limits` joins any number of them into two operations of the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from msgspec import Struct

from helicone_gw import StoreOperation

if TYPE_CHECKING:
    from helicone_gw import Exchange, GatewayError, LocalKeys, Store

FIELDS = 4
"""How many numbers a kind tells of each claim."""

Argument = bytes | str | int | float
Fields = Sequence[Any]
"""Exactly `FIELDS` integers, bytes or ``None``; what they mean is the kind's own."""


class Kind(Protocol):
    """One way of counting. Time is in whole microseconds since the epoch, the store's own (Redis: ``TIME``).

    ``lua`` is a Lua expression: a table ``{check = function(keys, args, now) return ok, found end, report =
    function(keys, args, now, found) return {a, b, c, d} end, take = function(keys, args, now, found) return {a, b, c,
    d} end, settle = function(keys, args, now) return {a, b, c, d} end}``. ``args`` are texts; a missing field is
    ``false``. Numbers must stay whole and below 2^53, where Lua's are exact.
    """

    name: ClassVar[str]
    lua: ClassVar[str]

    def check(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int) -> tuple[bool, Any]:
        """Whether the claim can be met, and what was found; changes nothing that a later check could see."""

    def report(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int, found: Any) -> Fields:
        """What is told of a claim when nothing is taken, because this or another claim was refused."""

    def take(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int, found: Any) -> Fields:
        """Take it; called right after every claim of the exchange was found possible."""

    def settle(self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Any], now: int) -> Fields:
        """Put what really was in the place of what was taken."""


class Rule(Protocol):
    """What a claim is for: a policy, a concurrency limit, a budget. ``name`` is for counters and the log."""

    name: str

    def refusal(self, exchange: Exchange, claim: Claim) -> GatewayError:
        """What the client is told when this claim was refused; ``claim.fields`` are those of ``Kind.report``."""

    def settlement(self, exchange: Exchange, claim: Claim) -> Sequence[Argument] | None:
        """The arguments of ``Kind.settle`` at the end of the exchange, ``None``: nothing is to be settled.

        ``claim.fields`` are those of ``Kind.take``, or ``None`` when the store's answer never came.
        """


class Claim(Struct):
    """What an exchange asks of one limit, and what became of that.

    ``keys`` are the store's, all with one ``{tag}`` for all claims of an exchange (see `tagged`). ``admitted`` and
    ``fields`` are set once the store has answered.
    """

    kind: Kind
    rule: Rule
    keys: tuple[str, ...]
    arguments: tuple[Argument, ...]
    admitted: bool | None = None
    fields: Fields | None = None


def tag(organization: str) -> str:
    """The hash tag of an organization's keys: they share a slot of a cluster, since they are reserved together."""
    if "{" in organization or "}" in organization:
        organization = organization.translate(_UNTAGGED)
    return f"{{{organization}}}"


_UNTAGGED = str.maketrans("{}", "__")


def tagged(organization: str, *words: str) -> str:
    """A key of ``organization``.

    >>> tagged("default", "tb", "user", "alice", "request")
    '{default}:tb:user:alice:request'
    """
    return f"{tag(organization)}:{':'.join(words)}"


class Limits:
    """Reserves and settles claims of the given kinds. ``clock`` is Lua that sets ``now``; tests set their own."""

    def __init__(self, kinds: Sequence[Kind], clock: str = "") -> None:
        self._kinds = {kind.name: kind for kind in kinds}
        prelude = _PRELUDE.format(
            clock=clock or SERVER_TIME,
            kinds="\n".join(f"kinds[{kind.name!r}] = {kind.lua.strip()}" for kind in kinds),
        )
        self.reserve_operation = StoreOperation("ratelimit.reserve", prelude + _RESERVE, self._reserve)
        self.settle_operation = StoreOperation("ratelimit.settle", prelude + _SETTLE, self._settle)

    async def reserve(self, store: Store, claims: Sequence[Claim]) -> bool:
        """Take every claim, or none where one is refused. Raises `helicone_gw.StoreUnavailable`."""
        keys, arguments = _packed([(claim, claim.arguments) for claim in claims])
        results = await store.run(self.reserve_operation, keys, arguments)
        at = 1
        for claim in claims:
            claim.admitted, claim.fields = bool(results[at]), results[at + 1 : at + 1 + FIELDS]
            at += 1 + FIELDS
        return bool(results[0])

    async def settle(
        self, store: Store, exchanges: Sequence[Sequence[tuple[Claim, Sequence[Argument]]]]
    ) -> list[list[Fields]]:
        """Settle the claims of exchanges, each with its kind's arguments; what each kind tells.

        One round trip; each exchange's are settled together. Raises `StoreUnavailable`.
        """
        calls = [(self.settle_operation, *_packed(settlements)) for settlements in exchanges]
        told = [await store.run(*calls[0])] if len(calls) == 1 else await store.run_all(calls)
        return [[results[at : at + FIELDS] for at in range(0, len(results), FIELDS)] for results in told]

    def _reserve(
        self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Argument], now: float
    ) -> list[int | bytes | None]:
        at = round(now * 1_000_000)
        claims = self._unpacked(keys, arguments)
        if len(claims) == 1:
            kind, own, given = claims[0]
            ok, found = kind.check(store, own, given, at)
            return [int(ok), int(ok), *(kind.take if ok else kind.report)(store, own, given, at, found)]
        checked = [kind.check(store, own, given, at) for kind, own, given in claims]
        admitted = all(ok for ok, _ in checked)
        results: list[int | bytes | None] = [int(admitted)]
        for (kind, own, given), (ok, found) in zip(claims, checked, strict=True):
            results.append(int(ok))
            results += (kind.take if admitted else kind.report)(store, own, given, at, found)
        return results

    def _settle(
        self, store: LocalKeys, keys: Sequence[str], arguments: Sequence[Argument], now: float
    ) -> list[int | bytes | None]:
        at = round(now * 1_000_000)
        results: list[int | bytes | None] = []
        for kind, own, given in self._unpacked(keys, arguments):
            results += kind.settle(store, own, given, at)
        return results

    def _unpacked(
        self, keys: Sequence[str], arguments: Sequence[Any]
    ) -> list[tuple[Kind, Sequence[str], Sequence[Any]]]:
        claims: list[tuple[Kind, Sequence[str], Sequence[Any]]] = []
        key, at = 0, 1
        for _ in range(arguments[0]):
            key_end, start = key + arguments[at + 1], at + 3
            end = start + arguments[at + 2]
            claims.append((self._kinds[arguments[at]], keys[key:key_end], arguments[start:end]))
            key, at = key_end, end
        return claims


def _packed(claims: Sequence[tuple[Claim, Sequence[Argument]]]) -> tuple[Sequence[str], Sequence[Argument]]:
    if len(claims) == 1:
        claim, given = claims[0]
        return claim.keys, (1, claim.kind.name, len(claim.keys), len(given), *given)
    keys: list[str] = []
    arguments: list[Argument] = [len(claims)]
    for claim, given in claims:
        keys += claim.keys
        arguments += (claim.kind.name, len(claim.keys), len(given))
        arguments += given
    return keys, arguments


SERVER_TIME = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
"""
"""One clock for all workers: Redis's own."""

_PRELUDE = """
{clock}
local kinds = {{}}
{kinds}
local claims, key, at = {{}}, 1, 2
for i = 1, tonumber(ARGV[1]) do
  local claim = {{kind = kinds[ARGV[at]], keys = {{}}, args = {{}}}}
  for j = 1, tonumber(ARGV[at + 1]) do
    claim.keys[j] = KEYS[key]
    key = key + 1
  end
  local count = tonumber(ARGV[at + 2])
  for j = 1, count do
    claim.args[j] = ARGV[at + 2 + j]
  end
  at = at + 3 + count
  claims[i] = claim
end
local results = {{}}
local function tell(fields)
  for j = 1, 4 do
    results[#results + 1] = fields[j] or false
  end
end
"""

_RESERVE = """
local admitted = true
for _, claim in ipairs(claims) do
  claim.ok, claim.found = claim.kind.check(claim.keys, claim.args, now)
  admitted = admitted and claim.ok
end
results[1] = admitted and 1 or 0
for _, claim in ipairs(claims) do
  results[#results + 1] = claim.ok and 1 or 0
  if admitted then
    tell(claim.kind.take(claim.keys, claim.args, now, claim.found))
  else
    tell(claim.kind.report(claim.keys, claim.args, now, claim.found))
  end
end
return results
"""

_SETTLE = """
for _, claim in ipairs(claims) do
  tell(claim.kind.settle(claim.keys, claim.args, now))
end
return results
"""
