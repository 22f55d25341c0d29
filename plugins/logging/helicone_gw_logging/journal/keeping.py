"""Keeping: what of an exchange goes into the journal, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from helicone_gw import StashKey
from helicone_gw_logging.facts import PROPERTIES, plain_facts
from helicone_gw_logging.insert import encoded, known_secrets, prepare
from helicone_gw_logging.journal.format import (
    AMENDED,
    REPLACED,
    Reading,
    changes_payload,
    differences,
    plain_payload,
    record_payload,
    rows_payload,
)
from helicone_gw_logging.record import annotations_of, bodies_of, country_of, record, secrets_of
from helicone_gw_logging.redact import OVERLAP, holds_credential, is_suspicious, may_hold_credential

if TYPE_CHECKING:
    from helicone_gw import Exchange
    from helicone_gw_logging.config import LoggingConfig
    from helicone_gw_logging.insert import Rows
    from helicone_gw_logging.journal.journal import Journal, Ticket
    from helicone_gw_logging.record import LogRecord

_known = attrgetter("outcome", "usage", "cost")
_NO_NOTES: Mapping[str, Any] = {}


class Kept(Struct, gc=False):
    """What there is of an exchange, and where the journal holds it (``ticket``; ``None``: nowhere).

    That is ``payload`` alone, where it could be taken down at once, or a ``record``. ``rows``: the journal has these,
    ``whole`` or with bodies that were cut, in place of the record, which then could not be taken down as it is.
    ``changed``: it was another when the journal was told of it first. ``known``: what may still turn out differently
    when it was.
    """

    record: LogRecord | None
    ticket: Ticket | None
    rows: Rows | None = None
    whole: bool = True
    changed: bool = False
    known: tuple[Any, ...] = ()
    payload: bytes = b""


class Keeper:
    """Puts exchanges into ``journal``. ``secrets`` are credentials that must not be stored. Nothing here waits."""

    def __init__(self, journal: Journal, config: LoggingConfig, secrets: Sequence[bytes], log: Any) -> None:
        self._journal = journal
        self._config = config
        self._secrets = tuple(secrets)
        # All others cannot be where there is nothing that looks like any key.
        self._unlike_keys = tuple(secret for secret in secrets if not is_suspicious.at_a_glance(secret))
        self._bodies, self._country = config.bodies == "full", config.country_header
        self._log = log
        self._most = min(int(config.journal.max_body), int(config.max_body))
        self._opened: StashKey[Ticket] = StashKey("logging.opened")
        self._ended: StashKey[Kept] = StashKey("logging.ended")

    def before_stream(self, exchange: Exchange) -> None:
        """A streamed answer begins: should the process die before its end, this is what is known of it."""
        status = None if exchange.response is None else exchange.response.status
        begun = record(exchange, bodies=False, country=self._country, status=status)
        payload = self._as_it_is(begun)
        if payload is None:
            payload = rows_payload(prepare(begun, self._secrets, 0))
        ticket = self._journal.announce(payload)
        if ticket is not None:
            exchange.stash[self._opened] = ticket

    def before_end(self, exchange: Exchange) -> None:
        """A client is about to have its whole answer."""
        stash, payload = exchange.stash, self._at_once(exchange)
        opened = stash.get(self._opened)
        if payload is None:
            kept = self.keep(self.record(exchange), opened)
        else:
            kept = Kept(None, self._journal.keep(payload, opened), payload=payload)
        stash[self._ended] = kept
        notes = exchange.annotations
        kept.known = _known(exchange), len(exchange.attempts), dict(notes) if notes else _NO_NOTES

    def on_finish(self, exchange: Exchange) -> Kept:
        """All is over: what was kept, and amended where it turned out differently."""
        kept = exchange.stash.get(self._ended)
        if kept is None:
            return self.keep(self.record(exchange), exchange.stash.get(self._opened))
        if kept.known == (_known(exchange), len(exchange.attempts), exchange.annotations):
            return kept
        return self._amended(kept, self.record(exchange))

    def record(self, exchange: Exchange) -> LogRecord:
        """The record of an exchange."""
        return record(exchange, bodies=self._bodies, country=self._country)

    def keep(self, made: LogRecord, ticket: Ticket | None = None) -> Kept:
        """Put a record into the journal, of which ``ticket`` was the beginning."""
        payload = self._as_it_is(made)
        if payload is not None:
            return Kept(made, self._journal.keep(payload, ticket))
        rows, whole = self._rows(made)
        try:
            ticket = self._journal.keep(rows_payload(rows), ticket)
        except (TypeError, ValueError, OverflowError) as problem:
            self._log.error("a record cannot be kept in the journal", id=rows.id, problem=type(problem).__name__)
        return Kept(made, ticket, rows, whole)

    def _amended(self, kept: Kept, made: LogRecord) -> Kept:
        before = kept.rows
        if before is None and kept.record is not None:
            before, _ = self._rows(kept.record)
        if before is None:
            before = Reading().rows(kept.payload, clean=True)
        rows, whole = self._rows(made)
        changes = differences(before, rows)
        if kept.ticket is not None and changes is None:
            self._journal.amend(REPLACED, rows_payload(rows))
        elif kept.ticket is not None and changes:
            self._journal.amend(AMENDED, changes_payload(rows.id, changes))
        return Kept(made, kept.ticket, rows, whole, changed=True)

    def _at_once(self, exchange: Exchange) -> bytes | None:
        """What the journal holds of an exchange in which a glance finds nothing that may have to be redacted.

        Nearly all are so. Objects are made of what they come to by whoever reads it.
        """
        bodies, most = bodies_of(exchange) if self._bodies else None, self._most
        if bodies is not None:
            for data, cut, _, _, _, coding in bodies:
                if cut or coding or len(data) > most:
                    return None
        facts = plain_facts(exchange, annotations_of(exchange), None, country_of(exchange, self._country))
        secrets, properties = (*self._unlike_keys, *map(encoded, secrets_of(exchange))), facts[PROPERTIES]
        try:
            # Rows have them in lower case, too, in which keys may be that a server on the way had spelled otherwise.
            if properties and may_hold_credential("\n".join(properties).lower().encode(), secrets):
                return None
            payload = plain_payload(facts, bodies)
        except (TypeError, ValueError, OverflowError):
            return None
        return None if may_hold_credential(payload, secrets) else payload

    def _as_it_is(self, made: LogRecord) -> bytes | None:
        """What the journal holds of a record with nothing in it that is to be redacted; ``None`` for all others."""
        bodies, most = made.bodies, self._most
        if bodies is not None:
            sent, answered = bodies
            if sent.cut or answered.cut or sent.content_encoding or answered.content_encoding:
                return None
            if len(sent.data) > most or len(answered.data) > most:
                return None
        try:
            payload = record_payload(made)
        except (TypeError, ValueError, OverflowError):
            return None
        secrets, properties = known_secrets(made, self._secrets), made.facts.properties
        if properties and holds_credential("\n".join(properties).lower().encode(), secrets):
            return None
        if not may_hold_credential(payload, secrets):
            return payload
        # Streams are searched much faster by themselves.
        if any(holds_credential(body.data, secrets) for body in bodies or ()):
            return None
        return None if holds_credential(record_payload(made.without_bodies()), secrets) else payload

    def _rows(self, made: LogRecord) -> tuple[Rows, bool]:
        """The rows of a record, redacted, and whether they are all of it: long bodies would take too long here."""
        most, bodies = self._most, made.bodies
        whole = bodies is None or (len(bodies[0].data) <= most and len(bodies[1].data) <= most)
        cut, limit = made, int(self._config.max_body)
        if not whole and bodies is not None:
            limit = most
            asked, answered = (
                body if len(body.data) <= most else replace(body, data=body.data[: most + OVERLAP], cut=True)
                for body in bodies
            )
            cut = replace(made, bodies=(asked, answered))
        try:
            return prepare(cut, self._secrets, limit), whole
        except Exception as problem:
            # What cannot be redacted is not stored; the rest of it is.
            self._log.error("bodies cannot be kept in the journal", id=made.id, problem=type(problem).__name__)
            return prepare(made.without_bodies(), self._secrets, limit), False
