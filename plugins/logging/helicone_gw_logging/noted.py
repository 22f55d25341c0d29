"""The tables of what is noted of the log once it will not change: texts of its zones, how sessions of days are spread.

Whoever looks for something reads these, and then only what they do not tell of.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, String, Table

from helicone_gw_logging.tables import METADATA

TEXT_ZONE = Table(
    "text_zone",
    METADATA,
    Column("organization_id", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("zone", BigInteger, primary_key=True, autoincrement=False),
    Column("texts", LargeBinary),
    sqlite_with_rowid=False,
)
"""All different texts that the requests of a zone have in the column ``name``, or as values of a property
(`helicone_gw_logging.zones`). NULL where these are too many to be noted, or were changed."""

SESSION_SPREAD = Table(
    "session_spread",
    METADATA,
    Column("organization_id", String, primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("named", Boolean, primary_key=True),
    Column("session_name", String, primary_key=True),
    Column("sessions", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("cost_nano_usd", BigInteger, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""How the sessions that were last heard of on a day (UTC) are spread (`helicone_gw_logging.spreading`): those with one
name, or all of them (not ``named``, the name being ""). ``sessions``, ``requests`` and ``cost_nano_usd`` are those of
`totals.NAME_DAY` at that time: where these are others by now, it says nothing."""
