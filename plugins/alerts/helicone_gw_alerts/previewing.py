"""Previewing: what an alert would have measured in the past, and when it would have fired.

Windows that stand back to back are asked for at once, in the log's own buckets. They end with a whole second, minute,
hour or day of UTC where the caller names no time: the log has sums of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from helicone_gw_alerts.errors import Refusal
from helicone_gw_alerts.evaluating import fires
from helicone_gw_alerts.rules import STANDING, Rule

if TYPE_CHECKING:
    from helicone_gw_alerts.measuring import Measuring, Sample

MAX_STEPS: Final = 120
"""Instants of a look at the past."""
_UNITS: Final = (86_400_000, 3_600_000, 60_000, 1000)
"""Milliseconds of which a window may be a whole number: longest first."""


class Preview(Struct, frozen=True, forbid_unknown_fields=True):
    """An alert as it would be made, and when it is to be looked at: ``steps`` times up to ``end`` (ISO 8601; now)."""

    alert: Rule
    start: str | None = None
    end: str | None = None
    steps: int = 30


async def preview(measuring: Measuring, organization: str, rule: Rule, body: Preview, now: float) -> dict[str, Any]:
    """What ``rule`` would have measured, and when it would have fired and been resolved; ``now`` is epoch seconds.

    Where no time is asked for, the last look is at ``now`` and those before at the ends of whole units, a window apart.
    Raises `Refusal` and `LogUnavailable`.
    """
    if not 1 <= body.steps <= MAX_STEPS:
        raise Refusal(f"steps: between 1 and {MAX_STEPS}.")
    if rule.metric in STANDING:
        raise Refusal(f"metric: of {rule.metric} the past is not known.")
    end = now if body.end is None else _instant("end", body.end)
    start = end - body.steps * rule.window / 1000 if body.start is None else _instant("start", body.start)
    if start >= end:
        raise Refusal("start: it must be before the end.")
    looks = await _looks(measuring, organization, rule, body, start, end)
    points: list[dict[str, Any]] = []
    firing, times = set[str](), 0
    for at, samples in looks:
        for group in {*samples, *firing}:
            sample = samples.get(group)
            fired = sample is not None and fires(rule, sample)
            unknown = sample is not None and sample.value is None and bool(sample.requests)
            times += fired and group not in firing
            if fired:
                firing.add(group)
            elif not unknown:
                firing.discard(group)
            points.append(
                {
                    "at": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
                    "group": group or None,
                    "value": None if sample is None else sample.value,
                    "requests": 0 if sample is None else sample.requests,
                    "triggered": group in firing,
                }
            )
    return {"points": points, "times_triggered": times}


async def _looks(
    measuring: Measuring, organization: str, rule: Rule, body: Preview, start: float, end: float
) -> list[tuple[float, Mapping[str, Sample]]]:
    """When it is looked (epoch seconds), in order, and what there is to see then."""
    steps = body.steps
    instants = [start + (end - start) * step / steps for step in range(1, steps + 1)]
    together = 0
    if steps > 1 and body.start is None:
        if body.end is None:
            unit = next((each for each in _UNITS if rule.window % each == 0), 1)
            last = round(end * 1000) // unit * unit
            together = steps if last == round(end * 1000) else steps - 1
            whole = [(last - rule.window * back) / 1000 for back in reversed(range(together))]
            instants = [*whole, *instants[together:]]
        else:
            together = steps
    looks: list[tuple[float, Mapping[str, Sample]]] = []
    if together:
        found = await measuring.windows(rule, organization, instants[together - 1], together)
        looks += zip(instants, found or (), strict=False)
    for at in instants[len(looks) :]:
        looks.append((at, await measuring.measure(rule, organization, at)))
    return looks


def _instant(name: str, text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Refusal(f"{name}: it is no ISO 8601 time.") from None
