"""Evaluators: scores given to new requests (contract 14.4), kept as evaluators and where they are at work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import delete, func, insert, select, update

from helicone_gw import new_id
from helicone_gw_alerts.dispatching import Undeliverable
from helicone_gw_alerts.errors import NoSuch, Refusal
from helicone_gw_alerts.log import Log
from helicone_gw_alerts.outbox import Delivery, Outbox, Target
from helicone_gw_alerts.scoring import Scoring
from helicone_gw_alerts.tables import EVALUATOR, ONLINE
from helicone_gw_alerts.texts import exchanged
from helicone_gw_alerts.webhooks import Sampling

if TYPE_CHECKING:
    from helicone_gw import Clock, Database

KIND: Final = "evaluation"

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00]+$")]


class NewEvaluator(Struct, frozen=True, forbid_unknown_fields=True):
    """An evaluator to be made. ``last_mile_config`` is read over: nothing here asks that service."""

    scoring_type: str
    name: Name
    llm_template: Any = None
    code_template: Any = None
    last_mile_config: Any = None


class ChangedEvaluator(Struct, frozen=True, forbid_unknown_fields=True):
    """What of an evaluator changes: what is given."""

    scoring_type: str | None = None
    name: Name | None = None
    llm_template: Any = None
    code_template: Any = None
    last_mile_config: Any = None


class Evaluator(Struct, frozen=True):
    """An evaluator that there is; its name is the score's."""

    organization_id: str
    id: str
    name: str
    scoring_type: str
    llm_template: Any
    code_template: Any
    created_at: float
    updated_at: float


class Online(Struct, frozen=True):
    """An evaluator at work."""

    organization_id: str
    id: str
    evaluator_id: str
    config: Sampling
    created_at: float


class Evaluators:
    """Evaluators in the database. Methods raise `Refusal`, `NoSuch` and SQLAlchemy's errors."""

    def __init__(self, database: Database, clock: Clock, log: Log, scoring: Scoring, most: int) -> None:
        self._database = database
        self._clock = clock
        self._log = log
        self._most = most
        self.scoring = scoring

    async def all(self, organization: str) -> list[Evaluator]:
        """An organization's evaluators."""
        query = select(EVALUATOR).where(EVALUATOR.c.organization_id == organization)
        async with self._database.connect() as connection:
            rows = (await connection.execute(query.order_by(EVALUATOR.c.created_at, EVALUATOR.c.id))).mappings()
            return [Evaluator(**row) for row in rows]

    async def one(self, organization: str, id: str) -> Evaluator:
        """One evaluator."""
        query = select(EVALUATOR).where(EVALUATOR.c.organization_id == organization, EVALUATOR.c.id == id)
        async with self._database.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise NoSuch("There is no such evaluator.")
        return Evaluator(**row)

    async def create(self, organization: str, wanted: NewEvaluator) -> Evaluator:
        """Make one that can score."""
        self.scoring.check(wanted.scoring_type, wanted.llm_template, wanted.code_template)
        now = self._clock.now()
        made = Evaluator(
            organization,
            new_id(),
            wanted.name,
            wanted.scoring_type,
            wanted.llm_template,
            wanted.code_template,
            now,
            now,
        )
        async with self._database.begin() as connection:
            count = select(func.count()).where(EVALUATOR.c.organization_id == organization)
            if (await connection.execute(count)).scalar_one() >= self._most:
                raise Refusal(f"There are {self._most} evaluators already; no more are kept.")
            await connection.execute(insert(EVALUATOR).values(**msgspec.structs.asdict(made)))
        return made

    async def change(self, organization: str, id: str, wanted: ChangedEvaluator) -> Evaluator:
        """Change one."""
        before = await self.one(organization, id)
        given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
        given.pop("last_mile_config", None)
        after = msgspec.structs.replace(before, **given, updated_at=self._clock.now())
        self.scoring.check(after.scoring_type, after.llm_template, after.code_template)
        mine = (EVALUATOR.c.organization_id == organization, EVALUATOR.c.id == id)
        async with self._database.begin() as connection:
            changed = {**given, "updated_at": after.updated_at}
            await connection.execute(update(EVALUATOR).where(*mine).values(**changed))
        return after

    async def delete(self, organization: str, id: str) -> None:
        """Delete one, which is then at work nowhere. The scores that it gave stay."""
        for each in await self.online(organization, id):
            await self.stop(organization, id, each.id)
        mine = (EVALUATOR.c.organization_id == organization, EVALUATOR.c.id == id)
        async with self._database.begin() as connection:
            if not (await connection.execute(delete(EVALUATOR).where(*mine))).rowcount:
                raise NoSuch("There is no such evaluator.")

    async def online(self, organization: str | None = None, evaluator: str | None = None) -> list[Online]:
        """Where evaluators are at work: everywhere, for an organization, of one evaluator."""
        query = select(ONLINE).order_by(ONLINE.c.created_at, ONLINE.c.id)
        if organization is not None:
            query = query.where(ONLINE.c.organization_id == organization)
        if evaluator is not None:
            query = query.where(ONLINE.c.evaluator_id == evaluator)
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [Online(**{**row, "config": msgspec.convert(row["config"], Sampling)}) for row in rows]

    async def begin(self, organization: str, evaluator: str, config: Sampling) -> str:
        """Put an evaluator to work on requests from now on; the id of that."""
        await self.one(organization, evaluator)
        if len(await self.online(organization)) >= self._most:
            raise Refusal(f"{self._most} evaluators are at work already; no more are.")
        made = new_id()
        row = {"organization_id": organization, "id": made, "evaluator_id": evaluator, "created_at": self._clock.now()}
        async with self._database.begin() as connection:
            await connection.execute(insert(ONLINE).values(**row, config=msgspec.to_builtins(config)))
        return made

    async def stop(self, organization: str, evaluator: str, id: str) -> None:
        """Let an evaluator work no more."""
        mine = (ONLINE.c.organization_id == organization, ONLINE.c.evaluator_id == evaluator, ONLINE.c.id == id)
        async with self._database.begin() as connection:
            if not (await connection.execute(delete(ONLINE).where(*mine))).rowcount:
                raise NoSuch("There is no such online evaluator.")
            await Outbox.forget(connection, Target(KIND, id))

    async def deliver(self, delivery: Delivery) -> None:
        """Score one request of the outbox. Raises `Undeliverable`, and what may pass."""
        organization = delivery.organization_id
        online = {each.id: each for each in await self.online(organization)}.get(delivery.target_id)
        if online is None:
            raise Undeliverable("the evaluator is at work no more", for_good=True)
        try:
            evaluator = await self.one(organization, online.evaluator_id)
            payload = delivery.payload
            value = await self.try_on(organization, evaluator, str(payload["id"]), str(payload["dialect"]))
            scores = {"scores": {evaluator.name: value}}
            await self._log.post(organization, f"/v1/request/{delivery.payload['id']}/score", scores)
        except NoSuch:
            raise Undeliverable("evaluator or request are no more", for_good=True) from None
        except Refusal as problem:
            raise Undeliverable(str(problem), for_good=True) from None

    async def try_on(
        self, organization: str, evaluator: Evaluator, request: str, dialect: str | None = None
    ) -> float | bool:
        """The score of a request that the log has, which is written nowhere. ``dialect`` is the client's, if known."""
        row: Mapping[str, Any] = await self._log.get(organization, f"/v1/request/{request}", includeBody="true")
        what = exchanged(row, dialect or await self._dialect(organization, row["id"]))
        return await self.scoring.score(evaluator.scoring_type, evaluator.llm_template, evaluator.code_template, what)

    async def _dialect(self, organization: str, id: str) -> str:
        query = "SELECT dialect FROM requests WHERE id = '" + id.replace("'", "''") + "' LIMIT 1"  # noqa: S608
        rows = (await self._log.post(organization, "/v1/helicone-sql/execute", {"sql": query}))["rows"]
        return str(rows[0]["dialect"]) if rows else "openai"
