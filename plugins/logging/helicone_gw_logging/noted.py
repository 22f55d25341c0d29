"""The tables of what is noted of the log once it will not change: texts and numbers of its zones, how sessions of days
are spread, and what those of hours come to.

Whoever looks for something reads these, and then only what they do not tell of.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, String, Table

from helicone_gw_logging.tables import METADATA
from helicone_gw_logging.totals import NAME_SUMS, NOTED_SUMS

TEXT_ZONE = Table(
    "text_zone",
    METADATA,
    Column("organization_id", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("zone", BigInteger, primary_key=True, autoincrement=False),
    Column("texts", LargeBinary),
    Column("places", LargeBinary),
    sqlite_with_rowid=False,
)
"""All different texts that the requests of a zone have in the column ``name``, or as values of a property
(`helicone_gw_logging.zones`), NULL where these are too many to be noted; and which requests have those that few have
(`helicone_gw_logging.zone_notes`). Both are NULL where one was changed. Under ``codes:`` and the name of a column, or
of a property, ``places`` has what each request has in it (`helicone_gw_logging.zone_codes`), under ``ids:`` and that of
an id what a part of one is looked for in (`helicone_gw_logging.zone_ids`)."""

NUMBER_ZONE = Table(
    "number_zone",
    METADATA,
    Column("organization_id", String, primary_key=True),
    Column("zone", BigInteger, primary_key=True, autoincrement=False),
    Column("requests", BigInteger, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("changes", BigInteger, nullable=False),
    Column("numbers", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""How many requests of a zone an organization has, when the first and the last of them were received, and what numbers
they have, column by column (`helicone_gw_logging.zone_notes`). ``changes``: how often something was said to have
changed since that was noted; such a zone is noted anew."""

SESSION_SPREAD = Table(
    "session_spread",
    METADATA,
    Column("organization_id", String, primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("named", Boolean, primary_key=True),
    Column("session_name", String, primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in NOTED_SUMS),
    Column("counts", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""How the sessions that were last heard of on a day (UTC) are spread (`helicone_gw_logging.spreading`): those with one
name, or all of them (not ``named``, the name being ""). The sums are those of `totals.NAME_DAY` at that time: where
these are others by now, it says nothing."""

SESSION_HOUR = Table(
    "session_hour",
    METADATA,
    Column("organization_id", String, primary_key=True),
    Column("named", Boolean, primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("session_name", String, primary_key=True),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in NAME_SUMS),
    Column("number", BigInteger, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""What the sessions that were last heard of in an hour come to, and how they are spread
(`helicone_gw_logging.session_hours`): those with one name, or all of them (not ``named``, the name being ""). Changes
up to ``number`` are part of it."""

SESSION_CHANGE = Table(
    "session_change",
    METADATA,
    Column("organization_id", String, primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("session_name", String, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in NAME_SUMS),
    sqlite_with_rowid=False,
)
"""What is to be added to an hour of `SESSION_HOUR`: a session that came late (``sessions`` is 1), or one that left (-1;
all that it came to is negative, too)."""
