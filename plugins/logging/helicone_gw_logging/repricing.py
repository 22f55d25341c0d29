"""Repricing: costs computed anew from the usage that is stored, attempt by attempt, and the sums corrected with them.

What a provider charged by its own figure, what was refused and so not billed, and what was answered from a cache costs
what it cost. Everything else costs what the prices say that were in force when the request was received.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import Row, Select, and_, bindparam, func, or_, select, update

from helicone_gw import Cost, Usage
from helicone_gw_logging.columns import columns
from helicone_gw_logging.corrections import Logged, move, read
from helicone_gw_logging.insert import Knowledge, take_numbers
from helicone_gw_logging.measures import count
from helicone_gw_logging.tables import ATTEMPT, REQUEST
from helicone_gw_logging.zones import unnote

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database

AT_ONCE = 500
"""Requests of one transaction: whoever wants to write waits for no more than these."""

Price = Callable[[str, str | None, Usage, str | None, int], Cost | None]
"""Provider, model, usage, the model that was asked for, time of receipt (epoch milliseconds) -> what that costs. Times
never go back within an organization."""

_NOT_BILLED = "no charge"
_COST = ("cost_nano_usd", "cost_source", "cost_version", "cost_estimated")
_REPRICED = (*_COST, "cost_recomputed_at")
_PLACES = {
    name: columns(REQUEST).index(name) for name in (*_REPRICED, "organization_id", "received_at", "model_override")
}
_USAGE = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "cache_read_tokens": "prompt_cache_read_tokens",
    "cache_write_tokens": "prompt_cache_write_tokens",
    "cache_write_1h_tokens": "prompt_cache_write_1h_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "input_audio_tokens": "prompt_audio_tokens",
    "output_audio_tokens": "completion_audio_tokens",
    "cache_audio_read_tokens": "prompt_cache_audio_tokens",
    "input_image_tokens": "prompt_image_tokens",
    "output_image_tokens": "completion_image_tokens",
    "web_searches": "web_searches",
    "service_tier": "service_tier",
    "cost": "provider_cost_nano_usd",
    "estimated": "usage_estimated",
}


class Progress(Struct):
    """How far it is: ``seen`` requests of ``of``, ``changed`` of them now with another cost.

    ``before`` and ``after`` are the sums of the known costs of what was seen, in nano-dollars; ``unknown_before`` and
    ``unknown_after`` how many had none.
    """

    of: int
    seen: int = 0
    changed: int = 0
    before: int = 0
    after: int = 0
    unknown_before: int = 0
    unknown_after: int = 0


async def recompute(
    database: Database,
    price: Price,
    *,
    since: int,
    now: int,
    organization: str | None = None,
    dry_run: bool = False,
    knowledge: Knowledge | None = None,
) -> AsyncIterator[Progress]:
    """Price every request received at ``since`` or later anew; yields the progress after each transaction.

    Times are epoch milliseconds. It may be broken off and begun again: what has the right cost stays as it is.
    ``dry_run`` changes nothing. ``organization``: of one alone.
    """
    known = knowledge or Knowledge()
    columns = REQUEST.c
    wanted = and_(columns.received_at >= since, columns.attempt_count > 0)
    if organization is not None:
        wanted = and_(wanted, columns.organization_id == organization)
    async with database.connect() as connection:
        counts = await connection.execute(
            select(columns.organization_id, func.count()).where(wanted).group_by(columns.organization_id)
        )
        organizations = {row[0]: row[1] for row in counts}
    progress = Progress(sum(organizations.values()))
    yield progress
    for each in sorted(organizations):
        at, seq = since, 0
        mine = select(REQUEST).where(wanted, columns.organization_id == each).order_by(columns.received_at, columns.seq)
        while True:
            later = or_(columns.received_at > at, and_(columns.received_at == at, columns.seq > seq))
            async with database.begin() if not dry_run else database.connect() as connection:
                if not dry_run:
                    await connection.run_sync(take_numbers, 0)
                query = mine.where(later).limit(AT_ONCE)
                requests = await _step(connection, query, price, progress, None if dry_run else known, now)
            if not requests:
                break
            at, seq = requests[-1].request[_PLACES["received_at"]], requests[-1].seq
            yield progress


async def _step(
    connection: AsyncConnection,
    query: Select[Any],
    price: Price,
    progress: Progress,
    knowledge: Knowledge | None,
    now: int,
) -> Sequence[Logged]:
    requests = await read(connection, query)
    attempts = await _attempts(connection, [request.seq for request in requests])
    changes: list[tuple[Logged, Logged]] = []
    of_attempts: list[dict[str, Any]] = []
    for request in requests:
        before = _stored(request)
        after, changed = _priced(request, attempts.get(request.seq, []), price)
        _account(progress, before, after)
        if after != before or changed:
            progress.changed += 1
            changes.append((request, _with(request, after, now)))
            of_attempts += changed
    if changes and knowledge is not None:
        await _store(connection, changes, of_attempts)
        organization = changes[0][0].request[_PLACES["organization_id"]]
        await unnote(connection, organization, _REPRICED, [request.seq for request, _ in changes])
        await move(connection, changes, knowledge)
    return requests


def _priced(request: Logged, attempts: Sequence[Row[Any]], price: Price) -> tuple[Cost | None, list[dict[str, Any]]]:
    """What a request costs now, and the attempts whose costs are other ones than those stored."""
    override, at = request.request[_PLACES["model_override"]], request.request[_PLACES["received_at"]]
    costs: list[Cost | None] = []
    changed = []
    for attempt in attempts:
        stored = _cost(*(getattr(attempt, name) for name in _COST))
        usage = Usage(**{name: getattr(attempt, column) for name, column in _USAGE.items()})
        if usage.total_tokens is None and usage.cost is None:
            costs.append(stored)  # nothing to multiply: refused, or unknown
            continue
        asked = None if override is not None else attempt.request_model
        model = override if override is not None else attempt.model or attempt.request_model
        cost = _held(price(attempt.provider, model, usage, asked, at))
        costs.append(cost)
        if cost is None and stored is not None:
            changed.append(_values(attempt, None))
        elif cost is not None and (stored is None or _facts(cost) != _facts(stored)):
            changed.append(_values(attempt, cost))
    if not attempts or (not changed and None not in costs):
        return _stored(request), changed
    return _sum(costs), changed


def _sum(costs: Sequence[Cost | None]) -> Cost | None:
    """The cost of all attempts, as the core sums it up: unknown if any is; the source is the last priced one's."""
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    # What was not billed says nothing of where the price comes from.
    last = ([cost for cost in known if cost.nano_usd or cost.source != _NOT_BILLED] or known)[-1]
    total = sum(cost.nano_usd for cost in known)
    return _held(Cost(total, (), last.source, last.version, any(cost.estimated for cost in known)))


def _held(cost: Cost | None) -> Cost | None:
    """``cost`` as a row holds it: unknown if it is out of range."""
    return None if cost is None or count(cost.nano_usd) is None else cost


def _account(progress: Progress, before: Cost | None, after: Cost | None) -> None:
    progress.seen += 1
    progress.before += before.nano_usd if before is not None else 0
    progress.after += after.nano_usd if after is not None else 0
    progress.unknown_before += before is None
    progress.unknown_after += after is None


def _cost(nano_usd: int | None, source: str | None, version: str | None, estimated: bool) -> Cost | None:
    return None if nano_usd is None else Cost(nano_usd, (), source or "", version or "", bool(estimated))


def _stored(request: Logged) -> Cost | None:
    return _cost(*(request.request[_PLACES[name]] for name in _COST))


def _facts(cost: Cost | None) -> tuple[int | None, str | None, str | None, bool]:
    if cost is None:
        return None, None, None, False
    return cost.nano_usd, cost.source or None, cost.version or None, cost.estimated


def _values(attempt: Row[Any], cost: Cost | None) -> dict[str, Any]:
    return {"at_seq": attempt.seq, "at_number": attempt.number, **dict(zip(_COST, _facts(cost), strict=True))}


def _with(request: Logged, cost: Cost | None, now: int) -> Logged:
    values = list(request.request)
    for name, value in zip(_COST, _facts(cost), strict=True):
        values[_PLACES[name]] = value
    values[_PLACES["cost_recomputed_at"]] = now
    return Logged(request.seq, tuple(values), request.properties)


async def _attempts(connection: AsyncConnection, numbers: Sequence[int]) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = {}
    query = select(ATTEMPT).where(ATTEMPT.c.seq.in_(numbers)).order_by(ATTEMPT.c.seq, ATTEMPT.c.number)
    for row in await connection.execute(query):
        found.setdefault(row.seq, []).append(row)
    return found


async def _store(
    connection: AsyncConnection, changes: Sequence[tuple[Logged, Logged]], of_attempts: list[dict[str, Any]]
) -> None:
    rows = [{"at_seq": new.seq, **{name: new.request[_PLACES[name]] for name in _REPRICED}} for _, new in changes]
    await connection.execute(update(REQUEST).where(REQUEST.c.seq == bindparam("at_seq")), rows)
    if of_attempts:
        mine = and_(ATTEMPT.c.seq == bindparam("at_seq"), ATTEMPT.c.number == bindparam("at_number"))
        await connection.execute(update(ATTEMPT).where(mine), of_attempts)
