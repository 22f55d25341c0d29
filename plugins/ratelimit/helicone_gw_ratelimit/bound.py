"""Bound: how far the spending of a hard budget can pass its limit at worst, from the configuration alone.

What is reserved is never more than what is left, so that spending passes the limit only where requests under way turn
out dearer than what was reserved for them::

    overshoot <= in_flight * (largest_request - reserved)

``in_flight`` is how many of one segment are under way at once, ``largest_request`` what one of them costs at most,
``reserved`` the least that was reserved for each: nothing, where it is an estimate, and ``largest_request`` itself with
``reserve: largest``. A stream that is cut exceeds what was reserved for it by one event more than a slice at most, so
that ``slice`` takes the place of ``largest_request`` where all requests are such streams.

Three things are needed: that no request costs more than ``largest_request`` (larger estimates are refused, streams with
``cut`` are ended; what a provider bills in spite of that is counted and logged), that the store forgets nothing, and
that no process dies. A process that dies takes its reservations along: what its requests under way cost is not known to
anybody, ``in_flight * largest_request`` at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from helicone_gw_ratelimit.budget_config import dollars, nano

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from helicone_gw_ratelimit.budget_config import BudgetConfig


class Bound(NamedTuple):
    """Nano-dollars: ``limit``, what spending may pass it by at worst, and the same if all requests are cut streams.

    ``None``: nothing bounds it, for want of the settings that ``missing`` names.
    """

    limit: int
    overshoot: int | None
    streams_only: int | None = None
    missing: tuple[str, ...] = ()

    @property
    def highest(self) -> int | None:
        """The most that can be spent, in nano-dollars."""
        return None if self.overshoot is None else self.limit + self.overshoot


def bound(budget: BudgetConfig) -> Bound:
    """How far a budget holds. A soft one bounds nothing."""
    if not budget.hard:
        return Bound(budget.nano, None)
    if budget.reserve == "largest":
        return Bound(budget.nano, 0, 0)
    missing = tuple(
        name
        for name, value in (("in_flight", budget.in_flight), ("largest_request", budget.largest_request))
        if value is None
    )
    if budget.in_flight is None or budget.largest_request is None:
        return Bound(budget.nano, None, missing=missing)
    return Bound(
        budget.nano,
        budget.in_flight * nano(budget.largest_request),
        budget.in_flight * min(nano(budget.slice), nano(budget.largest_request)) if budget.cut else None,
    )


def lines(budgets: Mapping[str, BudgetConfig], *, shared: bool, workers: int, write_every: float) -> Iterable[str]:
    """What ``helicone-gw check`` says of budgets. ``shared``: the store is one for all ``workers``."""
    for name, budget in budgets.items():
        whose = "" if budget.segment == "global" else f" for each {budget.segment.removeprefix('property:')}"
        yield f"budget {name}: {dollars(budget.nano)} {budget.when().describe()}{whose}, {budget.mode}: {_say(budget)}"
    if budgets and not shared:
        if workers > 1:
            yield (
                f"store.url is memory://: each of the {workers} workers counts for itself, and hears what others spent "
                "when it writes down what it spent"
            )
        yield (
            f"store.url is memory://: what was settled in the last {write_every:g} s before a process is killed is "
            "forgotten, with what is under way then"
        )


def _say(budget: BudgetConfig) -> str:
    found = bound(budget)
    if not budget.hard:
        return "tells of it and refuses nothing"
    if found.overshoot is None:
        missing = " and ".join(found.missing)
        return (
            "spending may pass it by what requests under way cost more than reserved; "
            f"set {missing}, or reserve: largest, to bound that"
        )
    if found.overshoot == 0:
        return f"at most {dollars(found.limit)} are spent (each request holds {dollars(_largest(budget))})"
    text = (
        f"at most {dollars(found.limit + found.overshoot)} are spent: {budget.in_flight:,} requests under way, each "
        f"{dollars(_largest(budget))} dearer than reserved"
    )
    if found.streams_only is not None:
        text += f" ({dollars(found.limit + found.streams_only)} if all are streams, which are cut)"
    return text


def _largest(budget: BudgetConfig) -> int:
    return 0 if budget.largest_request is None else nano(budget.largest_request)
