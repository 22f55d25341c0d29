"""SQL over HTTP: the schema, statements, files, and statements that are kept (contract 13.8)."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import ColumnElement, Row, and_, delete, insert, select, update

from helicone_gw import new_id
from helicone_gw_logging.api.routes import Call, Refused, Routes
from helicone_gw_logging.query.reading import reading
from helicone_gw_logging.sql.execute import execute, tables
from helicone_gw_logging.sql.guard import LONGEST, SqlError
from helicone_gw_logging.sql.result import DOWNLOAD, Limits, Result
from helicone_gw_logging.texts import text
from helicone_gw_logging.times import iso
from helicone_gw_logging.totals import SAVED_QUERY

ROUTES = Routes("sql")
MAX_SAVED = 1000
"""Statements that an organization may keep."""

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Text = Annotated[str, Meta(min_length=1, max_length=LONGEST)]


class Sql(Struct, frozen=True, forbid_unknown_fields=True):
    """A statement."""

    sql: Text


class SavedSql(Struct, frozen=True, forbid_unknown_fields=True):
    """A statement under a name."""

    name: Name
    sql: Text


class Ids(Struct, frozen=True, forbid_unknown_fields=True):
    """Which statements."""

    ids: Annotated[list[str], Meta(max_length=MAX_SAVED)]


class ColumnInfo(Struct, frozen=True):
    """A column and its type."""

    name: str
    type: str


class TableInfo(Struct, frozen=True):
    """A table and its columns."""

    table_name: str
    columns: list[ColumnInfo]


class Answer(Struct, frozen=True):
    """What a statement answers; ``truncated``: there were more rows."""

    rows: list[dict[str, str | float | int | bool | None]]
    elapsedMilliseconds: int  # noqa: N815 - the contract's name
    size: int
    rowCount: int  # noqa: N815 - the contract's name
    truncated: bool


class SavedQuery(Struct, frozen=True):
    """A statement that is kept."""

    id: str
    organization_id: str
    name: str
    sql: str
    created_at: str
    updated_at: str


@ROUTES.get("/v1/helicone-sql/schema", data=list[TableInfo])
async def schema(call: Call) -> list[TableInfo]:
    """The tables that may be asked, with their columns."""
    return [
        TableInfo(name, [ColumnInfo(*column) for column in columns])
        for name, columns in tables(call.database, call.scope).items()
    ]


@ROUTES.post("/v1/helicone-sql/execute", body=Sql, data=Answer)
async def run(call: Call, body: Sql) -> Answer:
    """Run one SELECT over the caller's own rows, for ten seconds and a thousand rows at most."""
    began = call.service.clock.monotonic()
    result = await _run(call, body.sql, Limits())
    elapsed = round((call.service.clock.monotonic() - began) * 1000)
    return Answer(result.as_objects(), elapsed, result.size, len(result.rows), result.truncated)


@ROUTES.post("/v1/helicone-sql/download", body=Sql, data=str)
async def download(call: Call, body: Sql) -> str:
    """Run one SELECT, up to 100,000 rows; the answer is a ``data:`` URL with its CSV."""
    result = await _run(call, body.sql, DOWNLOAD)
    encoded = base64.b64encode(result.as_csv().encode()).decode()
    return f"data:text/csv;charset=utf-8;base64,{encoded}"


@ROUTES.get("/v1/helicone-sql/saved-queries", data=list[SavedQuery])
async def listed(call: Call) -> list[SavedQuery]:
    """The statements that are kept, the newest first."""
    async with reading(call.database) as connection:
        found = await connection.execute(
            select(SAVED_QUERY)
            .where(_own(call))
            .order_by(SAVED_QUERY.c.created_at.desc(), SAVED_QUERY.c.id)
            .limit(MAX_SAVED)
        )
        return [_saved(row) for row in found]


@ROUTES.get("/v1/helicone-sql/saved-query/{id}", data=SavedQuery, errors=(404,))
async def one(call: Call) -> SavedQuery:
    """A statement that is kept."""
    return await _one(call, call.path["id"])


@ROUTES.post("/v1/helicone-sql/saved-query", body=SavedSql, data=list[SavedQuery], status=201, role="member")
async def keep(call: Call, body: SavedSql) -> list[SavedQuery]:
    """Keep a statement."""
    given = new_id()
    async with call.database.begin() as connection:
        kept = await connection.execute(select(SAVED_QUERY.c.id).where(_own(call)).limit(MAX_SAVED))
        if len(kept.all()) >= MAX_SAVED:
            raise Refused(400, f"[TOO_MANY] At most {MAX_SAVED:,} statements are kept.")
        await connection.execute(
            insert(SAVED_QUERY).values(
                organization_id=call.scope.organization,
                id=given,
                key_id=call.scope.key_id,
                **_kept(body),
                created_at=call.now,
                updated_at=call.now,
            )
        )
    return [await _one(call, given)]


@ROUTES.route("PUT", "/v1/helicone-sql/saved-query/{id}", body=SavedSql, data=SavedQuery, errors=(404,), role="member")
async def change(call: Call, body: SavedSql) -> SavedQuery:
    """Give a kept statement another name and text."""
    which = call.path["id"]
    async with call.database.begin() as connection:
        await connection.execute(
            update(SAVED_QUERY)
            .where(_own(call), SAVED_QUERY.c.id == text(which))
            .values(**_kept(body), updated_at=call.now)
        )
    return await _one(call, which)


@ROUTES.route("DELETE", "/v1/helicone-sql/saved-query/{id}", errors=(404,), role="member")
async def forget(call: Call) -> None:
    """Keep a statement no longer."""
    await _one(call, call.path["id"])
    await _forget(call, [call.path["id"]])


@ROUTES.post("/v1/helicone-sql/saved-queries/bulk-delete", body=Ids, role="member")
async def forget_all(call: Call, body: Ids) -> None:
    """Keep statements no longer; those that are not there count as done."""
    await _forget(call, body.ids)


async def _run(call: Call, sql: str, limits: Limits) -> Result:
    await call.flushed()
    try:
        return await execute(call.database, call.scope, sql, limits)
    except SqlError as problem:
        raise Refused(problem.status, str(problem)) from None


async def _one(call: Call, id: str) -> SavedQuery:
    async with reading(call.database) as connection:
        found = (await connection.execute(select(SAVED_QUERY).where(_own(call), SAVED_QUERY.c.id == text(id)))).first()
    if found is None:
        raise Refused(404, "[NOT_FOUND] There is no such statement.")
    return _saved(found)


async def _forget(call: Call, ids: list[str]) -> None:
    async with call.database.begin() as connection:
        await connection.execute(delete(SAVED_QUERY).where(_own(call), SAVED_QUERY.c.id.in_([*map(text, ids)])))


def _own(call: Call) -> ColumnElement[bool]:
    own: ColumnElement[bool] = SAVED_QUERY.c.organization_id == call.scope.organization
    return own if call.scope.key_id is None else and_(own, SAVED_QUERY.c.key_id == call.scope.key_id)


def _kept(body: SavedSql) -> dict[str, str | None]:
    return {"name": text(body.name), "sql": text(body.sql, 4 * LONGEST)}


def _saved(row: Row[Any]) -> SavedQuery:
    return SavedQuery(
        row.id, row.organization_id, row.name, row.sql, iso(row.created_at) or "", iso(row.updated_at) or ""
    )
