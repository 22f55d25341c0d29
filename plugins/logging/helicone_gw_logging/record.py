"""Record: what is logged of one exchange, as plain values. Pure and cheap: it runs on the client's path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from helicone_gw import Capture
from helicone_gw_logging.facts import KNOWN, Facts, facts_of
from helicone_gw_logging.texts import KEY_BYTES, label, text

if TYPE_CHECKING:
    from helicone_gw import Exchange

SHORTEST_SECRET = 8
"""Fewest characters of a gateway key that is looked for in what is stored."""
MAX_ANNOTATIONS = 65_536
"""Longest annotations, in bytes of JSON."""

_NO_FIELDS: dict[bytes, bytes] = {}
_NOTHING = Capture(b"", False, 0)
_ID = KNOWN.index("id")
_ROW_BYTES = 2048  # about what a row without bodies takes in memory


class RawBody(Struct, frozen=True, array_like=True, gc=False):
    """A body as it was captured. ``omitted``: only ``model`` may be stored of it."""

    data: bytes
    cut: bool = False
    omitted: bool = False
    model: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None


PlainBody = tuple[bytes, bool, bool, str | None, str | None, str | None]
"""The fields of `RawBody`, in their order."""


class LogRecord(Struct, frozen=True, gc=False):
    """Everything that is to be written about one exchange, not yet redacted.

    ``bodies`` are request and response, ``None`` when bodies are not stored at all. ``secrets`` are credentials of this
    exchange, to be found wherever they were repeated.
    """

    facts: Facts
    bodies: tuple[RawBody, RawBody] | None
    secrets: tuple[str, ...]
    dropped: bool = False

    @property
    def id(self) -> str:
        """The exchange's."""
        return str(self.facts.known[_ID])

    def without_bodies(self) -> LogRecord:
        """The record without what makes it large; the row says "dropped"."""
        if self.bodies is None:
            return self
        lost = tuple(replace(body, data=b"") for body in self.bodies)
        return replace(self, bodies=(lost[0], lost[1]), dropped=True)

    @property
    def size(self) -> int:
        """About how many bytes of memory the record takes."""
        facts = self.facts
        size = _ROW_BYTES + len(facts.annotations) + 512 * len(facts.attempts)
        size += sum([128 + len(value) for value in facts.properties.values()])
        return size + sum([len(body.data) for body in self.bodies or ()])

    def __repr__(self) -> str:
        return f"LogRecord({self.id})"


def record(
    exchange: Exchange, *, bodies: bool = True, country: str | None = None, status: int | None = None
) -> LogRecord:
    """The record of an exchange.

    ``country`` names the header field in which whoever stands before the gateway says where the client is, ``status``
    is what the client was sent so far, where the exchange has not ended.
    """
    facts = facts_of(exchange, annotations_of(exchange), status, country_of(exchange, country))
    kept = None
    if bodies:
        sent, answered = bodies_of(exchange)
        kept = RawBody(*sent), RawBody(*answered)
    return LogRecord(facts, kept, secrets_of(exchange))


def country_of(exchange: Exchange, field: str | None) -> str | None:
    """What the header ``field`` says of where the client is, if there is one to say that.

    Two letters (ISO 3166-1); what proxies write for "unknown" (XX) and for Tor (T1) is unknown.
    """
    if field is None:
        return None
    code = (exchange.original.headers.get(field) or "").strip().upper()
    return code if len(code) == 2 and code.isascii() and code.isalpha() and code != "XX" else None


def secrets_of(exchange: Exchange) -> tuple[str, ...]:
    """Credentials that came with an exchange."""
    credential, found = exchange.credential, exchange.secrets
    if exchange.provider_keys:
        found += tuple([key.secret for key in exchange.provider_keys.values()])
    if b"cookie" in exchange.original.headers.first:
        found += tuple(_cookies(exchange))
    if found:
        # A shorter key would be found in innocent text.
        found = tuple([secret for secret in found if len(secret) >= SHORTEST_SECRET])
    return found if credential is None else (credential.value.split(" ", 1)[-1], *found)


def _cookies(exchange: Exchange) -> Iterator[str]:
    """The values of cookies that went on to the provider, which may repeat them."""
    for field in exchange.original.headers.get_all("cookie"):
        for pair in field.split(";"):
            yield pair.partition("=")[2].strip()


def annotations_of(exchange: Exchange) -> bytes:
    """What was noted of an exchange, as JSON."""
    notes, warnings = exchange.annotations, exchange.request.helicone.warnings
    return _annotations(notes, warnings) if notes or warnings else b"{}"


def _annotations(notes: Mapping[str, Any], warnings: Sequence[str]) -> bytes:
    if warnings:
        notes = {**notes, "helicone.warnings": list(warnings)}
    try:
        data = msgspec.json.encode(notes, enc_hook=_not_json)
    except (TypeError, ValueError, RecursionError) as problem:
        return msgspec.json.encode({"logging.unreadable_annotations": type(problem).__name__})
    return data if len(data) <= MAX_ANNOTATIONS else msgspec.json.encode({"logging.annotations_too_large": len(data)})


def _not_json(value: object) -> str:
    # Not its representation: that may hold anything, a credential for one.
    return f"<{type(value).__name__}>"


def bodies_of(exchange: Exchange) -> tuple[PlainBody, PlainBody]:
    """Request and response, each as the fields of `RawBody`."""
    asked, response, helicone = exchange.original, exchange.response, exchange.request.helicone
    kept, fields = exchange.request_capture or _NOTHING, asked.headers.first
    kind, coding = _said(fields.get(b"content-type"), fields.get(b"content-encoding"))
    sent: PlainBody = kept.data, kept.cut, False, None, kind, coding
    kept, fields = exchange.response_capture or _NOTHING, _NO_FIELDS if response is None else response.headers.first
    kind, coding = _said(fields.get(b"content-type"), fields.get(b"content-encoding"))
    answered: PlainBody = kept.data, kept.cut, False, None, kind, coding
    if helicone.omit_request:
        sent = b"", sent[1], True, label(asked.model), *sent[4:]
    if helicone.omit_response:
        answered = b"", answered[1], True, label(exchange.model) or label(asked.model), *answered[4:]
    return sent, answered


@lru_cache(maxsize=256)
def _said(kind: bytes | None, coding: bytes | None) -> tuple[str | None, str | None]:
    """What the fields ``Content-Type`` and ``Content-Encoding`` say of a body."""
    return (
        None if kind is None else text(kind.decode("latin-1"), KEY_BYTES),
        None if coding is None else coding.decode("latin-1"),
    )
