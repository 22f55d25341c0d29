"""Leaving: what becomes of sessions whose hour is noted, told in the transaction in which it happens.

Of hours before some hour it is noted, in the background, what their sessions come to
(`helicone_gw_logging.session_hours`). A session of one of these that is heard of again, or corrected, is taken away
there, with all that it came to, and added where it belongs now, if that is such an hour as well. Those of later hours,
which are nearly all that are heard of, cost one question for a whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, update

from helicone_gw_logging.noted import SESSION_CHANGE
from helicone_gw_logging.statements import Values, put
from helicone_gw_logging.totals import SEQUENCE

if TYPE_CHECKING:
    from sqlalchemy import Connection

BOUND: Final = "session_hours"
"""The name in `totals.SEQUENCE` of the hour before which changes are told; where there is none, none are."""
NUMBER: Final = "session_changes"
"""The name of the number that was given last to a change."""
_BEFORE: Final = "SELECT value FROM log_sequence WHERE name = 'session_hours'"


def told_before(connection: Connection) -> int:
    """The hour (since the epoch) before which changes are to be told.

    It stays as it is as long as whoever asks has the turn to write.
    """
    # Every batch asks, past SQLAlchemy's own handling of statements, which costs several times what the database does.
    return connection.exec_driver_sql(_BEFORE).scalar() or 0


def tell(connection: Connection, changes: Sequence[Values]) -> None:
    """Put down ``changes``: rows of `noted.SESSION_CHANGE` without ``number``, their third value."""
    if not changes:
        return
    own = SEQUENCE.c.name == NUMBER
    value = SEQUENCE.c.value
    if connection.execute(update(SEQUENCE).where(own).values(value=value + len(changes))).rowcount:
        last: int = connection.execute(select(value).where(own)).scalar_one()
    else:
        last = len(changes)
        put(connection, SEQUENCE, [(NUMBER, "", last)])
    numbered = enumerate(changes, last - len(changes) + 1)
    put(connection, SESSION_CHANGE, [(*row[:2], number, *row[2:]) for number, row in numbered])
