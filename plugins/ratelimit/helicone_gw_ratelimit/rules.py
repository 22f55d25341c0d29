"""Rules: a policy and a concurrency limit as claims on the store, and what becomes of each claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from helicone_gw import UpstreamStatus, UpstreamStreamError
from helicone_gw_ratelimit import bucket
from helicone_gw_ratelimit.bucket import ALL, SOME, Bucket
from helicone_gw_ratelimit.concurrency import Leases
from helicone_gw_ratelimit.estimate import COUNTING
from helicone_gw_ratelimit.headers import Standing, refusal
from helicone_gw_ratelimit.limits import Claim, tag, tagged
from helicone_gw_ratelimit.policy import SUBUNITS, Algorithm, Policy, Unit
from helicone_gw_ratelimit.segments import segment_words
from helicone_gw_ratelimit.window import Window

if TYPE_CHECKING:
    from helicone_gw import Exchange, TooManyRequests
    from helicone_gw_ratelimit.limits import Argument

BUCKET, WINDOW, LEASES = Bucket(), Window(), Leases()

PLURAL: Final = {"request": "requests", "cents": "cents", "tokens": "tokens"}

TRY_AGAIN: Final = 1_000_000
"""Microseconds to wait for a place among those under way: nobody knows when one is free."""

NOT_SERVED: Final = frozenset({408, 409, 429})
"""Statuses below 500 with which a provider says that it did not serve the request."""


class Estimates(Protocol):
    """What requests are expected to use, in tokens and nano-dollars; asked for only where a rule needs it."""

    def tokens(self, exchange: Exchange) -> int:
        """Tokens of the input and of the longest answer that was asked for."""

    def nano_usd(self, exchange: Exchange) -> int | None:
        """What that costs at the dearest target, ``None`` when no price is known."""


class PolicyRule:
    """A policy: ``name`` tells it from others in the store, in counters and for clients; ``words`` begin its keys.

    ``unknown_cost`` (nano-dollars) is what counts where neither an estimate nor a cost is known.
    """

    def __init__(
        self,
        policy: Policy,
        algorithm: Algorithm,
        *,
        name: str,
        words: tuple[str, ...],
        estimates: Estimates,
        unknown_cost: int = 0,
    ) -> None:
        self.policy = policy
        self.name = name
        self.limit, self.text = policy.limit, policy.text
        self._prefix = "".join(f":{word}" for word in words) + ":"
        self._estimates = estimates
        self._unknown_cost = unknown_cost
        self._moving = algorithm == "moving-window"
        self._mode = ALL if policy.unit == "request" else SOME
        self._scale = SUBUNITS[policy.unit]
        one = bucket.gap(self._scale, policy.quota, policy.microseconds)
        self._request = (policy.quota, policy.microseconds, ALL, *one)

    def claim(self, exchange: Exchange) -> Claim:
        """What ``exchange`` asks of this policy."""
        policy = self.policy
        segment = segment_words(exchange, policy.segment)
        key = f"{tag(exchange.organization)}{self._prefix}{':'.join(segment)}:{policy.unit}"
        if self._mode == ALL and not self._moving:
            return Claim(BUCKET, self, (key,), self._request)
        amount = self._scale if self._mode == ALL else self._estimate(exchange)
        if self._moving:
            return Claim(
                WINDOW,
                self,
                (f"{key}:when", f"{key}:what"),
                (policy.quota, policy.microseconds, self._mode, amount, exchange.id),
            )
        gap = bucket.gap(amount, policy.quota, policy.microseconds)
        return Claim(BUCKET, self, (key,), (policy.quota, policy.microseconds, self._mode, *gap))

    def _estimate(self, exchange: Exchange) -> int:
        """Expected use in subunits, at most the quota: what is more is settled."""
        if self.policy.unit == "tokens":
            return min(self._estimates.tokens(exchange) * self._scale, self.policy.quota)
        cost = self._estimates.nano_usd(exchange)
        return min(self._unknown_cost if cost is None else cost, self.policy.quota)

    def standing(self, claim: Claim) -> Standing:
        """How the policy stands, as far as the store has answered."""
        policy, fields = self.policy, claim.fields
        assert fields is not None
        quota, window = policy.quota, policy.microseconds
        wait = 0
        if self._moving:
            used, reset = fields[0], fields[2]
            left = quota - used
            wait = 0 if claim.admitted else fields[1]
        else:
            whole, rest = fields[0], fields[1]
            left = bucket.amount_left((whole, rest), quota, window)
            reset = whole + (rest > 0)
            if not claim.admitted:
                wait = self._bucket_wait(whole, rest, claim.arguments)
        return Standing(
            self.name,
            policy.text,
            policy.limit,
            PLURAL[policy.unit],
            max(0, left // self._scale),
            left / quota,
            reset,
            wait,
        )

    def _bucket_wait(self, whole: int, rest: int, arguments: Sequence[Argument]) -> int:
        """Microseconds until a claim that was refused at this gap is admitted."""
        _, _, mode, more, remainder = arguments
        assert isinstance(more, int)
        assert isinstance(remainder, int)
        if mode == SOME:
            return whole - self.policy.microseconds + 1
        # Of the two remainders, each below one microsecond, whatever is left over needs one more, or two.
        return whole + more - self.policy.microseconds + -(-(rest + remainder) // self.policy.quota)

    def refusal(self, exchange: Exchange, claim: Claim) -> TooManyRequests:
        """See `Rule.refusal`."""
        return refusal(self.standing(claim))

    def settlement(self, exchange: Exchange, claim: Claim) -> Sequence[Argument] | None:
        """See `Rule.settlement`."""
        fields, quota, window = claim.fields, self.policy.quota, self.policy.microseconds
        if fields is None or not claim.admitted:
            return None
        used, known = self.used(exchange)
        if self._mode == ALL:
            taken = self._scale
        elif self._moving:
            taken = fields[1]
        else:
            taken = bucket.amount_of((fields[2], fields[3]), quota, window)
        if not known:
            used = max(used, taken)
        if used == taken:
            return None
        if self._moving:
            return window, fields[3].decode(), exchange.id, used - taken
        return bucket.settlement((fields[2], fields[3]), used, quota, window)

    def used(self, exchange: Exchange) -> tuple[int, bool]:
        """What ``exchange`` used in the end, in subunits, and whether that is all: an attempt may not have said."""
        unit: Unit = self.policy.unit
        if not exchange.attempts:
            return 0, True  # no provider was asked: a cached answer, or a refusal further in
        if unit == "request":
            return self._scale if served(exchange) else 0, True
        if unit == "tokens":
            return (0, True) if exchange.request.operation == COUNTING else used_tokens(exchange, self._scale)
        costs = [None if attempt.cost is None else attempt.cost.nano_usd for attempt in exchange.attempts]
        return sum(max(0, cost) for cost in costs if cost is not None), None not in costs


def served(exchange: Exchange) -> bool:
    """Whether a provider served the request, whatever the client saw of it.

    Not where none answered, or where all said that they could not, the last with 5xx, 408, 409 or 429, or with a stream
    that was an error from its start. A request that was wrong, and one whose client left, was served.
    """
    if any(attempt.error is None for attempt in exchange.attempts):
        return True
    last = exchange.attempts[-1]
    if last.status is None:
        return False
    if isinstance(last.error, UpstreamStatus):
        return last.error.status < 500 and last.error.status not in NOT_SERVED
    return not isinstance(last.error, UpstreamStreamError) or exchange.first_chunk_at is not None


def used_tokens(exchange: Exchange, scale: int) -> tuple[int, bool]:
    """Tokens of all attempts, times ``scale``, and whether every attempt's are known."""
    total, known = 0, True
    for attempt in exchange.attempts:
        tokens = None if attempt.usage is None else attempt.usage.total_tokens
        if tokens is not None:
            total += max(0, tokens)
        elif attempt.cost is None or attempt.cost.nano_usd:
            known = False  # only an attempt that cost nothing for certain has used nothing
    return total * scale, known


class ConcurrencyRule:
    """At most so many exchanges under way at once. ``lease`` is in seconds."""

    def __init__(self, most: int, segment: str, *, name: str, lease: float) -> None:
        self.name = name
        self._most = most
        self._segment = segment
        self._lease = int(lease * 1_000_000)
        self.limit = str(most)
        self.text = f"concurrency={most}" + ("" if segment == "global" else f";s={segment}")

    def claim(self, exchange: Exchange) -> Claim:
        """What ``exchange`` asks of this limit: a place until it ends."""
        key = tagged(exchange.organization, "running", self.name, *segment_words(exchange, self._segment))
        return Claim(LEASES, self, (key,), (self._most, exchange.id, self._lease))

    def standing(self, claim: Claim) -> Standing:
        """How many places are left."""
        assert claim.fields is not None
        left = max(0, self._most - claim.fields[0])
        wait = 0 if claim.admitted else TRY_AGAIN
        return Standing(self.name, self.text, self.limit, "at once", left, left / self._most, 0, wait)

    def refusal(self, exchange: Exchange, claim: Claim) -> TooManyRequests:
        """See `Rule.refusal`."""
        return refusal(self.standing(claim), "concurrency_limit_exceeded")

    def settlement(self, exchange: Exchange, claim: Claim) -> Sequence[Argument] | None:
        """See `Rule.settlement`: the place is given back, also where the store's answer never came."""
        return None if claim.admitted is False else (exchange.id,)
