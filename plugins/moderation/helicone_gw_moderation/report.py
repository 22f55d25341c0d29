"""Report: what was found in one exchange, for its log row and its client, and the refusals that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from helicone_gw import BadRequest, Exchange
from helicone_gw_moderation.plan import Hit

Where = Literal["input", "output"]
HEADER = "Helicone-Moderation"
"""The response header that says what was done, where that is known before the answer leaves."""
MOST = 50
"""Entries of one row; further ones are only counted, but for what refuses."""
_CODES = {"threat": "PROMPT_THREAT_DETECTED", "flagged": "PROMPT_FLAGGED_FOR_MODERATION"}
_DONE = {"redact": "redacted", "flag": "flagged"}


@dataclass
class ModerationCounters:
    """What became of requests and answers that were checked."""

    checked: int = 0
    blocked: int = 0
    redacted: int = 0
    flagged: int = 0
    shadowed: int = 0
    streams: int = 0
    late: int = 0
    """Hits of which something had left before they were known."""
    unread: int = 0
    """Bodies that cannot be looked through."""
    overflowed: int = 0
    """Streams that were longer held than `stream.max_held` allows."""
    not_restorable: int = 0
    """Values redacted for good, because an exchange had too many."""
    judged: int = 0
    remembered: int = 0
    """Verdicts that were there already."""
    no_verdict: int = 0
    unjudged: int = 0
    """Events of streams that left before their verdict, with judges that fail open."""


class Report:
    """Collects what is found in ``exchange`` and keeps its annotations true: never the text itself."""

    def __init__(self, exchange: Exchange, counters: ModerationCounters) -> None:
        self._exchange = exchange
        self._counters = counters
        self._entries: dict[tuple[str, ...], dict[str, object]] = {}
        if "threat" not in exchange.annotations:
            exchange.annotate("threat", False)

    def add_all(self, hits: Sequence[Hit], where: Where) -> None:
        """Note several."""
        for hit in hits:
            self.add(hit, where)

    def add(self, hit: Hit, where: Where) -> None:
        """Note one."""
        name = (hit.detector, hit.category, hit.label, hit.action, where)
        if name in self._entries or len(self._entries) < MOST or hit.action == "block":
            self._note(name, hit, where)
        if hit.late:
            self._counters.late += 1
        if hit.action == "block" or (hit.code == "threat" and hit.action != "shadow"):
            self._exchange.annotate("threat", True)
        match hit.action:
            case "block":
                self._counters.blocked += 1
            case "redact":
                self._counters.redacted += 1
            case "flag":
                self._counters.flagged += 1
            case _:
                self._counters.shadowed += 1
        if hit.action in _DONE and not self._exchange.committed:
            self._exchange.headers.setdefault(HEADER, _DONE[hit.action])

    def _note(self, name: tuple[str, ...], hit: Hit, where: Where) -> None:
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = {
                "detector": hit.detector,
                "category": hit.category,
                "label": hit.label,
                "action": hit.action,
                "where": where,
            }
            noted = self._exchange.annotations.get("threats", ())  # another instance of the plugin adds to them, too
            self._exchange.annotate("threats", [*noted, entry])
        if hit.late:
            entry["released"] = max(hit.late, int(str(entry.get("released", 0))))

    def unread(self, why: str) -> None:
        """Note a body that could not be looked through."""
        self._counters.unread += 1
        self._exchange.annotate("moderation.unread", why)
        threat_unknown(self._exchange)


def threat_unknown(exchange: Exchange) -> None:
    """Note that something was not looked through, or not judged: without a threat so far, that there is none is not
    known."""
    if exchange.annotations.get("threat") is False:
        exchange.annotate("threat", None)


def refusal(exchange: Exchange, hit: Hit, where: Where) -> BadRequest:
    """The error for the client, as Helicone shapes it (contract sections 3.3 and 3.4); nothing of the text is in it."""
    whose = "request" if where == "input" else "answer"
    what = "a threat" if hit.code == "threat" else "something that is not allowed"
    return BadRequest(
        f"The gateway's safety policy found {what} in the {whose} ({hit.category}).",
        code=_CODES[hit.code],
        details=f"Helicone-Id {exchange.request_id}: {hit.category} in the {where}",
        shape="helicone",
    )
