"""Following: every request that the log gets is offered to webhooks and evaluators, once.

The log numbers its rows in the order in which they are committed. So the numbers up to which an organization's requests
were looked at are all that has to be kept: requests that were logged while nobody followed, those of a process that was
killed and whose journal was taken in later, and those that clients told of, come like all others. The number and the
deliveries that follow from the rows are written in one transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from helicone_gw_alerts.log import Log
from helicone_gw_alerts.outbox import Outbox, Target
from helicone_gw_alerts.signing import sampled
from helicone_gw_alerts.tables import CURSOR
from helicone_gw_alerts.webhooks import Sampling

if TYPE_CHECKING:
    from helicone_gw import Database

PAGE: Final = 500
"""Requests that are read at once."""
QUIET_PAGE: Final = 20
"""Numbers that are looked for where there was nothing the last time."""
NEWEST: Final = 300
"""Requests, the last that came, whose numbers say how far numbers were given."""
MAX_PAGES: Final = 20
"""Pages in one step, so that what was queued is delivered meanwhile."""
MAX_ROWS: Final = 1000
"""Rows that the log gives for one statement."""

MARGIN: Final = 60.0
"""Seconds by which rows may be logged in another order than that in which their requests ended."""

SQL: Final = "/v1/helicone-sql/execute"


class Follower(Struct, frozen=True):
    """Who wants to hear of requests that end after ``since`` (epoch seconds), and of which."""

    organization: str
    target: Target
    sampling: Sampling
    since: float


class FollowCounters(Struct):
    """Requests that were looked at, and how often somebody wanted one."""

    seen: int = 0
    wanted: int = 0


class Following:
    """Follows the log. Methods raise `LogUnavailable`, `Refusal` and SQLAlchemy's errors."""

    def __init__(self, database: Database, log: Log, outbox: Outbox) -> None:
        self._database = database
        self._log = log
        self._outbox = outbox
        self._highest = 0
        self._busy: set[str] = set()
        self.counters = FollowCounters()

    async def step(self, followers: Iterable[Follower]) -> None:
        """Offer what is new to ``followers``."""
        by_organization: dict[str, list[Follower]] = defaultdict(list)
        for each in followers:
            by_organization[each.organization].append(each)
        for organization, wanting in by_organization.items():
            for _ in range(MAX_PAGES):
                if not await self._page(organization, wanting):
                    break
        await self._forget(by_organization)

    async def _forget(self, followed: Mapping[str, object]) -> None:
        """Where nobody follows any more, nothing waits for whoever will."""
        async with self._database.connect() as connection:
            known = {*(await connection.execute(select(CURSOR.c.organization_id))).scalars()}
        gone = known - followed.keys()
        if gone:
            async with self._database.begin() as connection:
                await connection.execute(delete(CURSOR).where(CURSOR.c.organization_id.in_(gone)))

    async def _page(self, organization: str, followers: Sequence[Follower]) -> bool:
        """Offer one page; whether there is more."""
        cursor = await self._cursor(organization, min(each.since for each in followers))
        keys = sorted({each.key.lower() for one in followers for each in one.sampling.propertyFilters})
        page = max(1, min(PAGE, MAX_ROWS // max(1, len(keys))))
        rows, last = await self._rows(organization, cursor, page)
        if last == cursor:
            return False
        properties = await self._properties(organization, cursor, last, keys)
        wanted = [(each, [_payload(row) for row in rows if _wants(each, row, properties)]) for each in followers]
        async with self._database.begin() as connection:
            mine = (CURSOR.c.organization_id == organization, CURSOR.c.seq == cursor)
            moved = await connection.execute(update(CURSOR).where(*mine).values(seq=last))
            if not moved.rowcount:
                return False  # another worker was quicker
            for each, payloads in wanted:
                await self._outbox.put(connection, organization, each.target, payloads)
        self.counters.seen += len(rows)
        self.counters.wanted += sum(len(payloads) for _, payloads in wanted)
        self._highest = max(self._highest, last)
        return True

    async def _rows(self, organization: str, cursor: int, page: int) -> tuple[list[dict[str, Any]], int]:
        """The next rows after a number, and up to which number all are known then."""
        columns = "r.seq AS seq, r.id AS id, r.ended_at AS ended_at, r.dialect AS dialect"
        if not self._database.sqlite:
            query = f"SELECT {columns} FROM requests r WHERE r.seq > {cursor} ORDER BY r.seq LIMIT {page}"  # noqa: S608
            rows = await self._sql(organization, query)
            return rows, rows[-1]["seq"] if rows else cursor
        # Without statistics SQLite would read all of an organization's rows, and sort them. Numbers it looks up.
        page = page if organization in self._busy else min(page, QUIET_PAGE)
        numbers = ",".join(f"({number})" for number in range(cursor + 1, cursor + 1 + page))
        query = f"WITH n(v) AS (VALUES {numbers}) SELECT {columns} FROM n CROSS JOIN requests r ON r.seq = n.v"  # noqa: S608
        rows = sorted(await self._sql(organization, query), key=lambda row: row["seq"])
        if rows:
            self._busy.add(organization)
            return rows, rows[-1]["seq"]
        self._busy.discard(organization)
        return rows, await self._beyond(organization, cursor, page)

    async def _beyond(self, organization: str, cursor: int, page: int) -> int:
        """Where to go on after numbers that are others' or nobody's; the same where they may still be given."""
        query = f"SELECT seq FROM requests ORDER BY received_at DESC LIMIT {NEWEST}"  # noqa: S608
        newest = [int(row["seq"]) for row in await self._sql(organization, query)]
        later = [seq for seq in newest if seq > cursor]
        if len(newest) < NEWEST:
            return min(later) - 1 if later else cursor
        if max([*later, self._highest]) <= cursor + page:
            return cursor
        self._busy.add(organization)
        return cursor + page

    async def _before(self, organization: str, when: int) -> int:
        """A number that was given before ``when`` (epoch milliseconds), and not long before."""
        newest = f"SELECT seq FROM requests WHERE received_at < {when} ORDER BY received_at DESC LIMIT 200"  # noqa: S608
        oldest = "SELECT seq FROM requests ORDER BY received_at LIMIT 200"
        rows = await self._sql(organization, newest)
        if rows:
            return min(int(row["seq"]) for row in rows)
        return min((int(row["seq"]) for row in await self._sql(organization, oldest)), default=1) - 1

    async def _sql(self, organization: str, query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await self._log.post(organization, SQL, {"sql": query}))["rows"]
        return rows

    async def _properties(
        self, organization: str, after: int, last: int, keys: Sequence[str]
    ) -> Mapping[int, Mapping[str, str]]:
        """The values of ``keys`` of the requests after one number up to another."""
        if not keys:
            return {}
        listed = ", ".join("'" + key.replace("\0", "").replace("'", "''") + "'" for key in keys)
        query = f"SELECT seq, key_lower, value FROM properties WHERE seq > {after} AND seq <= {last} AND key_lower IN ({listed})"  # noqa: S608, E501
        found: dict[int, dict[str, str]] = defaultdict(dict)
        for row in await self._sql(organization, query):
            found[row["seq"]][row["key_lower"]] = row["value"]
        return found

    async def _cursor(self, organization: str, since: float) -> int:
        """Where to go on; where nobody followed yet, the place in the log at ``since``."""
        mine = select(CURSOR.c.seq).where(CURSOR.c.organization_id == organization)
        async with self._database.connect() as connection:
            found = (await connection.execute(mine)).scalar()
        if found is not None:
            return int(found)
        began = await self._before(organization, int((since - MARGIN) * 1000))
        try:
            async with self._database.begin() as connection:
                await connection.execute(insert(CURSOR).values(organization_id=organization, seq=began))
        except IntegrityError:
            return await self._cursor(organization, since)
        return began


def _wants(follower: Follower, row: Mapping[str, Any], properties: Mapping[int, Mapping[str, str]]) -> bool:
    sampling = follower.sampling
    if row["ended_at"] is not None and row["ended_at"] < follower.since * 1000:
        return False
    if not sampled(sampling.sampleRate, follower.target.id, row["id"]):
        return False
    own = properties.get(row["seq"], {})
    return all(own.get(each.key.lower()) == each.value for each in sampling.propertyFilters)


def _payload(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "dialect": row["dialect"]}
