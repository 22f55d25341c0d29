"""Operations: what the cache does in a store in one step, for Redis and, the same, for memory.

An index is two keys: a sorted set of members by the time when each is due, and a hash of facts about them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from helicone_gw import LocalKeys, StoreOperation

OVERDUE: Final = 100
"""Members that one write to an index drops at most: more than it adds, so that what is overdue goes away."""

_Results = list[int | bytes | None]


def _keep(keys: LocalKeys, names: Sequence[str], arguments: Sequence[Any], now: float) -> _Results:
    keys.set(names[0], arguments[0], arguments[1] / 1000)
    return [1]


KEEP: Final = StoreOperation(
    "cache.keep",
    """
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return {1}
    """,
    _keep,
)
"""Key: the entry's. Arguments: its bytes, milliseconds to keep them."""


def _drop(keys: LocalKeys, names: Sequence[str], arguments: Sequence[Any], now: float) -> _Results:
    there = keys.get(names[0]) is not None
    keys.delete(names[0])
    return [int(there)]


DROP: Final = StoreOperation("cache.drop", "return {redis.call('DEL', KEYS[1])}", _drop)
"""Key: the entry's. Result: 1 if it was there, else 0."""


def _add(keys: LocalKeys, names: Sequence[str], arguments: Sequence[Any], now: float) -> _Results:
    member, facts, due, at, lifetime, latest = arguments
    index = _index(keys, names)
    if latest and member in index:
        due = max(due, index[member][0])
    index[member] = due, facts
    overdue = sorted((when, name) for name, (when, _) in index.items() if when <= at)[:OVERDUE]
    for _, name in overdue:
        del index[name]
    # Long enough for every member: the store in memory cannot say how long it has left, so it is counted from them.
    last = max((when for when, _ in index.values()), default=at)
    keys.set(names[0], index, max(lifetime / 1000, last - at))
    return [len(overdue)]


INDEX: Final = StoreOperation(
    "cache.index",
    f"""
    local due = ARGV[3]
    if ARGV[6] == '1' then
        local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
        if before and tonumber(before) > tonumber(due) then due = before end
    end
    redis.call('ZADD', KEYS[1], due, ARGV[1])
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
    local overdue = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[4], 'LIMIT', 0, {OVERDUE})
    if #overdue > 0 then
        redis.call('ZREM', KEYS[1], unpack(overdue))
        redis.call('HDEL', KEYS[2], unpack(overdue))
    end
    for _, key in ipairs(KEYS) do
        local left = redis.call('PTTL', key)
        if left ~= -2 and left < tonumber(ARGV[5]) then redis.call('PEXPIRE', key, ARGV[5]) end
    end
    return {{#overdue}}
    """,
    _add,
)
"""Keys: an index. Arguments: member, its facts, when it is due, the time now (both in epoch seconds), milliseconds that
the index stays at least, and 1 where a member that is there keeps the later time of the two."""


def _forget(keys: LocalKeys, names: Sequence[str], arguments: Sequence[Any], now: float) -> _Results:
    index = _index(keys, names)
    return [sum(index.pop(member, None) is not None for member in arguments)]


FORGET: Final = StoreOperation(
    "cache.forget",
    """
    redis.call('ZREM', KEYS[1], unpack(ARGV))
    return {redis.call('HDEL', KEYS[2], unpack(ARGV))}
    """,
    _forget,
)
"""Keys: an index. Arguments: members, at least one. Result: how many were in it."""


def _page(keys: LocalKeys, names: Sequence[str], arguments: Sequence[Any], now: float) -> _Results:
    start, count = arguments
    ordered = sorted((when, member, facts) for member, (when, facts) in _index(keys, names).items())
    flat: _Results = []
    for _, member, facts in ordered[start : start + count]:
        flat += [member.encode(), facts]
    return flat


PAGE: Final = StoreOperation(
    "cache.page",
    """
    local members = redis.call('ZRANGE', KEYS[1], ARGV[1], tonumber(ARGV[1]) + tonumber(ARGV[2]) - 1)
    if #members == 0 then return {} end
    local facts = redis.call('HMGET', KEYS[2], unpack(members))
    local flat = {}
    for place, member in ipairs(members) do
        flat[2 * place - 1] = member
        flat[2 * place] = facts[place]
    end
    return flat
    """,
    _page,
)
"""Keys: an index. Arguments: how many members to pass over, how many to list at most. Results: members in the order in
which they are due, each followed by its facts (``None``: they are lost)."""


def _index(keys: LocalKeys, names: Sequence[str]) -> dict[str, tuple[float, bytes]]:
    found: dict[str, tuple[float, bytes]] = keys.get(names[0]) or {}
    return found
