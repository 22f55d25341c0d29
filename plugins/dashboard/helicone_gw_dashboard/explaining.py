"""Explaining: what plugins noted on a request, in sentences: why this target, why no hit, what refused it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from helicone_gw_dashboard.formatting import duration, money

_MISSES: Final[Mapping[str, str]] = {
    "absent": "no answer to the same request was stored",
    "expired": "the stored answer was too old",
    "no-store": "Cache-Control forbade it",
    "no-cache": "Cache-Control asked for a fresh answer",
    "refresh": "it was asked to bring a stored answer up to date",
    "conversation": "the provider keeps the conversation, so that the same words need not mean the same",
    "background": "the answer is made in the background",
    "neither read nor saved": "nothing was to be read or saved",
}

_NANO: Final = 1_000_000_000

_SHOWN_ELSEWHERE: Final = ("pipeline.hooks", "pipeline.waits")
"""What `layers` and `timeline` draw."""


def explained(row: Mapping[str, Any], attempts: list[Any]) -> Iterator[tuple[str, str]]:
    """Headings and sentences, for a row of the log (``requests`` of its SQL) and its attempts."""
    notes = noted(row)
    yield from _routing(row, attempts, notes)
    yield from _cache(row, notes)
    if refused := notes.get("ratelimit.refused"):
        yield "Limits", f"Refused by {_listed(refused)}."
    elif limits := notes.get("ratelimit.limits"):
        yield "Limits", f"Counted by {_listed(limits)}."
    if row.get("translation_loss"):
        yield "Translation", f"What the provider's dialect cannot carry was left out: {row['translation_loss']}."
    if row.get("threat"):
        yield "Safety", "A check found a threat."
    if row.get("error_message") or row.get("error_code"):
        code = f" ({row['error_code']})" if row.get("error_code") else ""
        yield "Error", f"{row.get('error_message') or 'It failed'}{code}"


def why_missed(reason: object) -> str:
    """The reason that the cache noted, in words; as it stands where it is an unusual one."""
    return _MISSES.get(str(reason), str(reason).replace("_", " "))


def noted(row: Mapping[str, Any]) -> dict[str, Any]:
    """What plugins noted, by name."""
    try:
        found = json.loads(row.get("annotations") or "{}")
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def others(row: Mapping[str, Any]) -> dict[str, str]:
    """All that was noted, as text, for whoever wants to see it whole."""
    return {
        str(name): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in sorted(noted(row).items())
        if name not in _SHOWN_ELSEWHERE
    }


def _routing(row: Mapping[str, Any], attempts: list[Any], notes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not attempts:
        yield "Routing", "No provider was called."
    elif len(attempts) == 1:
        yield "Routing", f"{row.get('target') or attempts[0]['provider']}, at the first attempt."
    else:
        failed = sum(1 for attempt in attempts if attempt["error_code"] or (attempt["status"] or 500) >= 400)
        yield (
            "Routing",
            f"{len(attempts)} attempts, of which {failed} failed; the last one went to {row.get('target')}.",
        )
    asked, answered = row.get("request_model"), row.get("model")
    if asked and answered and asked != answered:
        yield "Model", f"{asked} was asked for, and {answered} answered."
    for name in ("routing.left_out", "router.left_out", "router.skipped"):
        if isinstance(notes.get(name), Mapping):
            said = "; ".join(f"{target}: {why}" for target, why in notes[name].items())
            yield "Left out", said
        elif notes.get(name):
            yield "Left out", _listed(notes[name])


def _cache(row: Mapping[str, Any], notes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    status = row.get("cache_status")
    reason = notes.get("cache.miss_reason")
    if status == "hit":
        spared = (
            f" It spared {money((row.get('saved_nano_usd') or 0) / _NANO)} and {duration(row.get('saved_ms') or 0)}."
        )
        yield "Cache", f"Answered from the cache.{spared}"
    elif status == "joined":
        yield "Cache", "The same question was under way already; both got its answer."
    elif status is not None:
        why = why_missed(reason) if reason else ""
        yield "Cache", f"No hit{': ' + why if why else ''}."
    if notes.get("cache.not_stored"):
        yield "Cache", f"The answer was not stored: {str(notes['cache.not_stored']).replace('_', ' ')}."


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
