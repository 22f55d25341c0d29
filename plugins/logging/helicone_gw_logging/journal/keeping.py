"""Keeping: what of an exchange goes into the journal, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from helicone_gw import StashKey
from helicone_gw_logging.insert import prepare
from helicone_gw_logging.journal.format import AMENDED, REPLACED, changes_payload, differences, rows_payload
from helicone_gw_logging.record import record
from helicone_gw_logging.redact import OVERLAP

if TYPE_CHECKING:
    from helicone_gw import Cost, Exchange, Outcome, Usage
    from helicone_gw_logging.config import LoggingConfig
    from helicone_gw_logging.insert import Rows
    from helicone_gw_logging.journal.journal import Journal, Ticket
    from helicone_gw_logging.record import LogRecord


class Kept(Struct):
    """A record, and where the journal holds it (``ticket``; ``None``: nowhere).

    ``rows`` are its rows as the journal has them, ``whole`` or with bodies that were cut. ``changed``: they were others
    when the journal was told of them first.
    """

    record: LogRecord
    rows: Rows
    whole: bool
    ticket: Ticket | None
    changed: bool = False


class _AtEnd(Struct):
    """What was known before the end, to be compared with what is known after it."""

    kept: Kept
    outcome: Outcome | None
    notes: dict[str, Any]
    usage: Usage | None
    cost: Cost | None
    attempts: int


class Keeper:
    """Puts exchanges into ``journal``. ``secrets`` are credentials that must not be stored. Nothing here waits."""

    def __init__(self, journal: Journal, config: LoggingConfig, secrets: Sequence[bytes], log: Any) -> None:
        self._journal = journal
        self._config = config
        self._secrets = tuple(secrets)
        self._log = log
        self._most = min(int(config.journal.max_body), int(config.max_body))
        self._opened: StashKey[Ticket] = StashKey("logging.opened")
        self._ended: StashKey[_AtEnd] = StashKey("logging.ended")

    def before_stream(self, exchange: Exchange) -> None:
        """A streamed answer begins: should the process die before its end, this is what is known of it."""
        begun = record(exchange, bodies=False, country=self._config.country_header)
        begun.request["status"] = None if exchange.response is None else exchange.response.status
        ticket = self._journal.announce(rows_payload(prepare(begun, self._secrets, 0)))
        if ticket is not None:
            exchange.stash[self._opened] = ticket

    def before_end(self, exchange: Exchange) -> None:
        """A client is about to have its whole answer."""
        kept = self.keep(self._record(exchange), exchange.stash.get(self._opened))
        exchange.stash[self._ended] = _AtEnd(
            kept,
            exchange.outcome,
            dict(exchange.annotations),
            exchange.usage,
            exchange.cost,
            len(exchange.attempts),
        )

    def on_finish(self, exchange: Exchange) -> Kept:
        """All is over: what was kept, and amended where it turned out differently."""
        before = exchange.stash.get(self._ended)
        if before is None:
            return self.keep(self._record(exchange), exchange.stash.get(self._opened))
        kept = before.kept
        if (
            exchange.outcome == before.outcome
            and exchange.annotations == before.notes
            and exchange.usage is before.usage
            and exchange.cost is before.cost
            and len(exchange.attempts) == before.attempts
        ):
            return kept
        return self._amended(kept, self._record(exchange))

    def keep(self, made: LogRecord, ticket: Ticket | None = None) -> Kept:
        """Put a record into the journal, of which ``ticket`` was the beginning."""
        rows, whole = self._rows(made)
        try:
            ticket = self._journal.keep(rows_payload(rows), ticket)
        except (TypeError, ValueError, OverflowError) as problem:
            self._log.error("a record cannot be kept in the journal", id=rows.id, problem=type(problem).__name__)
        return Kept(made, rows, whole, ticket)

    def _amended(self, kept: Kept, made: LogRecord) -> Kept:
        rows, whole = self._rows(made)
        changes = differences(kept.rows, rows)
        if kept.ticket is not None and changes is None:
            self._journal.amend(REPLACED, rows_payload(rows))
        elif kept.ticket is not None and changes:
            self._journal.amend(AMENDED, changes_payload(rows.id, changes))
        return Kept(made, rows, whole, kept.ticket, changed=True)

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
            self._log.error(
                "bodies cannot be kept in the journal", id=made.request["id"], problem=type(problem).__name__
            )
            return prepare(made.without_bodies(), self._secrets, limit), False

    def _record(self, exchange: Exchange) -> LogRecord:
        config = self._config
        return record(exchange, bodies=config.bodies == "full", country=config.country_header)
