"""Budgets: dollars that may be spent in a period, as claims on the store, and what becomes of each claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from helicone_gw import PaymentRequired, TooManyRequests
from helicone_gw_ratelimit.account import UNKNOWN
from helicone_gw_ratelimit.budget_config import BudgetConfig, dollars, nano, plain
from helicone_gw_ratelimit.budget_table import Place, Spent
from helicone_gw_ratelimit.ledger import CROSSED, BudgetKind
from helicone_gw_ratelimit.limits import tagged
from helicone_gw_ratelimit.matching import Targets, compile_matcher
from helicone_gw_ratelimit.periods import BUCKETS, Span, brief
from helicone_gw_ratelimit.segments import ANONYMOUS, clean, segment_words
from helicone_gw_ratelimit.spending import Charge, actual

if TYPE_CHECKING:
    from helicone_gw import Exchange, GatewayError
    from helicone_gw_ratelimit.limits import Argument, Claim, Fields
    from helicone_gw_ratelimit.spending import Pricing

BUDGET: Final = BudgetKind()

DAY_MS: Final = 86_400_000

IDLE_MS: Final = 35 * DAY_MS
"""How long the store keeps an account without an end that nobody uses; the table keeps it longer."""

MAX_REMEMBERED: Final = 1024
"""Accounts whose keys are remembered; when there are more, all are forgotten and it begins anew."""

NO_RETRY: Final = {"x-should-retry": "false"}
"""What SDKs understand: a budget that is used up is so for longer than they wait."""


def named(instance: str, budgets: Mapping[str, BudgetConfig]) -> dict[str, BudgetConfig]:
    """Budgets by the names that tell them apart in the gateway: those of a second instance begin with its name."""
    prefix = "" if instance == "ratelimit" else f"{instance}/"
    return {f"{prefix}{name}": config for name, config in budgets.items()}


class Budget:
    """One budget of the configuration: the rule behind its claims. ``lease`` is in seconds, 0: none."""

    def __init__(self, name: str, config: BudgetConfig, targets: Targets, lease: float) -> None:
        self.name = name
        self.config = config
        self.fits = compile_matcher(config, targets)
        self.limit = config.nano
        self.thresholds = config.thresholds
        self.period = config.when()
        self.every = config.period or brief(config.window or 0)
        self.width = round(self.period.bucket * 1_000_000)
        self.count = BUCKETS if self.width else 0
        self._lease = round(lease * 1_000_000)
        self.slice = nano(config.slice)
        self._span = Span(0, 0)
        self._places: dict[tuple[str, tuple[str, ...]], tuple[Place, tuple[str, str]]] = {}
        self.largest = None if config.largest_request is None else nano(config.largest_request)
        self._hard = config.hard
        self._unknown = config.unknown
        self._ceiling = self.limit if config.hard else -1
        self._always = self.largest if config.reserve == "largest" else None

    def charge(self, exchange: Exchange, estimate: int | None, now: float, pricing: Pricing) -> Charge:
        """What ``exchange`` asks of this budget. Raises `PaymentRequired` where it cannot be asked for at all."""
        amount = self._unknown if estimate is None else estimate
        if amount is None:
            raise PaymentRequired(
                f"Nobody knows the price of this request, and budget {self.name!r} admits none of unknown price.",
                code="price_unknown",
                headers=NO_RETRY,
                details={"budget": self.name},
            )
        if self.largest is not None and self._hard and amount > self.largest:
            raise PaymentRequired(
                f"This request may cost {dollars(amount)}; budget {self.name!r} admits none dearer than "
                f"{dollars(self.largest)}.",
                code="request_too_expensive",
                headers=NO_RETRY,
                details={"budget": self.name, "requested": plain(amount), "largest": plain(self.largest)},
            )
        if self._always is not None:
            amount = self._always
        span = self.period.at(now)
        place, keys = self._place(exchange.organization, self._words(exchange, pricing), span)
        return Charge(
            BUDGET,
            self,
            keys,
            (
                exchange.id,
                amount,
                self._ceiling,
                self._lease,
                self.keep(span, now),
                self.width,
                self.count,
                self.config.in_flight or 0,
            ),
            place=place,
            span=span,
            amount=amount,
            hard=self._hard,
            unknown=self._unknown or 0,
            cut=self.config.cut,
            slice=self.slice,
            largest=self.largest,
        )

    def _place(self, organization: str, words: tuple[str, ...], span: Span) -> tuple[Place, tuple[str, str]]:
        """Where it is counted, and the keys of that account."""
        if span != self._span or len(self._places) >= MAX_REMEMBERED:
            self._span = span
            self._places.clear()
        found = self._places.get((organization, words))
        if found is None:
            place = Place(organization, self.name, self.every, ":".join(words))
            found = self._places[organization, words] = place, self.keys(place, span)
        return found

    def _words(self, exchange: Exchange, pricing: Pricing) -> tuple[str, ...]:
        """Whose part of the budget it is."""
        segment, request = self.config.segment, exchange.request
        if segment == "model":
            return (segment, clean(request.model or ANONYMOUS))
        if segment == "route":
            return (segment, clean(request.router or request.model or ANONYMOUS))
        if segment == "provider":
            provider = request.provider or next((target.provider for target in pricing.targets(exchange)), ANONYMOUS)
            return (segment, clean(provider))
        if segment.startswith("property:"):
            name = segment.removeprefix("property:")
            return ("prop", name, clean(request.helicone.properties.get(name, ANONYMOUS)))
        words = segment_words(exchange, segment)
        return words if words[-1] else words[:-1]

    def keys(self, place: Place, span: Span) -> tuple[str, str]:
        """The store's keys of the account at ``place``: itself, and its leases."""
        key = tagged(place.organization, "budget", place.budget, place.every, place.segment, span.label)
        return key, f"{key}:leases"

    def keep(self, span: Span, now: float) -> int:
        """Milliseconds for which the store keeps an account after its last use."""
        if self.width:
            return self.width * (self.count + 2) // 1000 + DAY_MS
        return IDLE_MS if span.end is None else min(IDLE_MS, max(0, int((span.end - now) * 1000)) + DAY_MS)

    def refusal(self, exchange: Exchange, claim: Claim) -> GatewayError:
        """See `Rule.refusal`: 402 with what budget, how much and until when; 429 where only a place is missing."""
        assert isinstance(claim, Charge)
        assert claim.fields is not None
        spent, reserved, _, free = claim.fields
        if spent + reserved + claim.amount <= self.limit:
            return TooManyRequests(
                f"Budget {self.name!r} admits {self.config.in_flight} requests at once. Try again in 1 second.",
                code="budget_in_flight_exceeded",
                headers={"Retry-After": "1", "retry-after-ms": "1000"},
                details={"budget": self.name, "inFlight": self.config.in_flight, "retryAfterMs": 1000},
            )
        resets = self.resets_at(claim.span, free)
        under_way = f", {dollars(reserved)} are held for requests under way" if reserved else ""
        return PaymentRequired(
            f"Budget {self.name!r} has too little left: {dollars(spent)} of {dollars(self.limit)} "
            f"{self.period.describe()} are spent{under_way}, and this request may cost {dollars(claim.amount)}. "
            f"{_until(resets, self.width > 0)}",
            headers=NO_RETRY,
            details={
                "budget": self.name,
                "limit": plain(self.limit),
                "spent": plain(spent),
                "reserved": plain(reserved),
                "requested": plain(claim.amount),
                "period": self.every,
                "resetsAt": resets,
            },
        )

    def resets_at(self, span: Span, free: int = 0) -> str | None:
        """When it begins anew, or a window has let go of enough (``free``, microseconds), as ISO 8601."""
        if self.width:
            return datetime.fromtimestamp(-(-free // 1_000_000), UTC).isoformat() if free else None
        return None if span.end is None else datetime.fromtimestamp(span.end, self.config.zone).isoformat()

    def settlement(self, exchange: Exchange, claim: Claim) -> Sequence[Argument] | None:
        """See `Rule.settlement`: what it cost, also where the store's answer never came."""
        assert isinstance(claim, Charge)
        if claim.admitted is False or claim.spending is None:
            return None
        claim.paid, _ = actual(exchange, claim.spending, claim)
        arguments = claim.arguments
        return (exchange.id, claim.paid, arguments[3], arguments[4], self.width, self.count, *self.thresholds)

    def total(self, charge: Charge, fields: Fields, *, shared: bool) -> Spent | None:
        """What the table is to be told after a settlement; ``None``: the store did not know what was spent before.

        The total of a store that is ``shared``, otherwise what was paid.
        """
        _, part, generation, both = fields
        if generation == UNKNOWN:
            return None
        if not shared:
            part = charge.paid
        number = both // CROSSED
        if self.width:
            ends = (number + self.count + 1) * self.width / 1_000_000
            return Spent(charge.place, number * self.width, generation, part, ends)
        return Spent(charge.place, charge.span.start * 1_000_000, generation, part, charge.span.end)

    def warning(self, charge: Charge) -> str | None:
        """What a client is told once a threshold is reached."""
        if charge.fields is None or not self.thresholds:
            return None
        spent = charge.fields[0]
        if spent < self.thresholds[0]:
            return None
        return f"budget {self.name}: {spent * 100 // self.limit}% of {dollars(self.limit)} spent"


def _until(resets: str | None, rolling: bool) -> str:
    if resets is not None:
        return f"Enough will be free at {resets}." if rolling else f"It begins anew at {resets}."
    return "Some of it will be free as time goes by." if rolling else "It does not begin anew."
