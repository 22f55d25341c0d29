"""Facts: what there is to know of an exchange, taken down as it is. Cheap: it runs on the client's path.

What comes from one object is fetched together, and everything else is left to whoever makes rows of it (`values`): this
is all that a client waits for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct
from msgspec.structs import astuple

from helicone_gw_logging.notes import LIMITED, NOTED, OVER_LIMIT, limited, noted
from helicone_gw_logging.texts import label
from helicone_gw_logging.trace import TRACED, trace_of

if TYPE_CHECKING:
    from helicone_gw import Exchange

_OF_EXCHANGE = {name: name for name in ("id", "request_id", "provider", "model", "stop_reason")}
_OF_ASKED = {"request_model": "model", **{name: name for name in ("dialect", "operation", "method", "path", "stream")}}
_OF_HELICONE = {name: name for name in ("model_override", "session_id", "session_path", "session_name", "prompt_id")}
_OF_KEY = {"key_id": "id", "key_name": "name", "key_owner": "owner"}
_OF_OUTCOME = {"status": "status", "outcome": "kind", "error_code": "code", "error_message": "message"}
_OF_ATTEMPT = {
    "number": "number",
    "status": "status",
    "provider": "target.provider",
    "request_model": "target.model",
    "deployment": "target.deployment",
    "model": "model",
    "provider_request_id": "provider_request_id",
}
"""Columns, and which attribute each of them holds."""

_exchange, _asked, _helicone, _key, _outcome, _attempt = (
    attrgetter(*held.values()) for held in (_OF_EXCHANGE, _OF_ASKED, _OF_HELICONE, _OF_KEY, _OF_OUTCOME, _OF_ATTEMPT)
)
PlainAttempt = tuple[tuple[Any, ...], tuple[Any, ...], Any, Any]
"""The fields of `AttemptFacts`, in their order."""
PlainFacts = tuple[tuple[Any, ...], tuple[Any, ...], Any, Any, list[PlainAttempt], dict[str, str], bytes]
"""The fields of `Facts`, in their order."""
PROPERTIES: Final = 5
"""Where the properties are in them."""
_MORE_THAN_A_PLACE = re.compile(r"[@?#\[\]]|[^!-~]")
"""What a URL has that is to be taken out of it, or that may not be read as one."""
_NO_KEY = (None,) * len(_OF_KEY)
_NONE: dict[str, str] = {}
_times = attrgetter("started_at", "first_byte_at", "ended_at")
AS_IN_ALL = True
"""In place of the usage and the cost of an attempt: those of the exchange, which had no other."""

KNOWN = (
    *_OF_EXCHANGE,
    *_OF_ASKED,
    *_OF_HELICONE,
    *_OF_KEY,
    *_OF_OUTCOME,
    *TRACED,
    *NOTED,
    "organization_id",
    "source",
    "user_id",
    "target_url",
    "request_size",
    "response_size",
    "country_code",
)
"""The columns of a request whose values are known at once, in the order in which `Facts` have them."""
KNOWN_OF_ATTEMPT = (*_OF_ATTEMPT, "error_code", "error_message")
"""Those of an attempt."""


class AttemptFacts(Struct, frozen=True, array_like=True, gc=False):
    """What there is to know of an attempt. ``times``: it started, its first byte came, it ended (epoch seconds).

    ``usage`` and ``cost`` may be `AS_IN_ALL`.
    """

    known: tuple[Any, ...]
    times: tuple[Any, ...]
    usage: Any
    cost: Any


class Facts(Struct, frozen=True, array_like=True, gc=False):
    """What there is to know of an exchange, none of it checked: MessagePack of it is what a journal holds.

    ``times``: it was received, its first byte and its first token were sent, it ended (epoch seconds). ``properties``
    are as the client spelled them, ``annotations`` JSON.
    """

    known: tuple[Any, ...]
    times: tuple[Any, ...]
    usage: Any
    cost: Any
    attempts: list[AttemptFacts]
    properties: dict[str, str]
    annotations: bytes

    def changed(self, changes: Mapping[str, Any]) -> tuple[Any, ...]:
        """What is known at once, with other values in these columns."""
        return tuple([changes.get(name, value) for name, value in zip(KNOWN, self.known, strict=True)])


def facts_of(exchange: Exchange, annotations: bytes, status: int | None = None, country: str | None = None) -> Facts:
    """The facts of an exchange, of which `plain_facts` says more."""
    known, times, _, _, attempts, properties, said = plain_facts(exchange, annotations, status, country)
    made = [AttemptFacts(*each) for each in attempts]
    return Facts(known, times, exchange.usage, exchange.cost, made, properties, said)


def plain_facts(
    exchange: Exchange, annotations: bytes, status: int | None = None, country: str | None = None
) -> PlainFacts:
    """The fields of the facts of an exchange, none of which is an object; usage and cost are values without names.

    ``annotations`` are its own, as JSON. ``status`` is what its client was sent so far, where it has no outcome yet.
    """
    asked, helicone, key = exchange.original, exchange.request.helicone, exchange.key
    outcome, error, usage, cost = exchange.outcome, exchange.error, exchange.usage, exchange.cost
    if outcome is None:
        # It never finished: only a process that is being stopped, or that died, lets that happen.
        ended = (status, "interrupted", error and error.code, error and error.message)
    elif error is None:
        ended = _outcome(outcome)
    else:
        ended = (outcome.status, outcome.kind, outcome.code or error.code, outcome.message or error.message)
    said = helicone.properties
    notes = noted(exchange.annotations, helicone.cache.enabled)
    if ended[1] == "refused" and (ended[0] == 429 or ended[0] == 402):
        notes = limited(notes, ended[0])
        if ended[0] == 429:
            said = {**said, LIMITED: OVER_LIMIT}
    sent, kept = exchange.request_capture, exchange.response_capture
    url, attempts = None, []
    for attempt in exchange.attempts:
        failed, url = attempt.error, attempt.url
        attempts.append(
            (
                (*_attempt(attempt), None, None)
                if failed is None
                else (*_attempt(attempt), failed.code, failed.message),
                _times(attempt),
                AS_IN_ALL if attempt.usage is usage else attempt.usage,
                AS_IN_ALL if attempt.cost is cost else attempt.cost,
            )
        )
    return (
        (
            *_exchange(exchange),
            *_asked(asked),
            *_helicone(helicone),
            *(_NO_KEY if key is None else _key(key)),
            *ended,
            *trace_of(exchange.id, asked.headers),
            *notes,
            label(exchange.organization, 128) or "default",
            "gateway",
            helicone.user_id or asked.user,
            None if url is None else _without_credentials(url),
            sent.size if sent is not None else None if asked.body is None else len(asked.body),
            None if kept is None else kept.size,
            country,
        ),
        (
            exchange.received_at,
            exchange.first_byte_at,
            exchange.first_chunk_at if asked.stream else None,
            exchange.ended_at,
        ),
        None if usage is None else astuple(usage),
        None if cost is None else astuple(cost),
        attempts,
        dict(said) if said else _NONE,
        annotations,
    )


def _without_credentials(url: str) -> str | None:
    """The URL of an upstream without credentials, query and fragment."""
    if not _MORE_THAN_A_PLACE.search(url):
        return url
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return None
