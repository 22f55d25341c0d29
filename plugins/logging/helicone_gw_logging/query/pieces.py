"""Pieces: parts of the log in which requests can be, by their numbers, and reading these instead of all of it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, FromClause, String, and_, literal, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import Join

from helicone_gw_logging.tables import REQUEST

ALWAYS: Final = -(2**63), 2**63 - 1
"""Times of a piece of which it is not known when its requests were received."""


class Piece(Struct, frozen=True):
    """Numbers of requests, (from, to) each; when the first and the last of them were received, epoch milliseconds; and
    what it takes to read them, in requests."""

    ranges: tuple[tuple[int, int], ...]
    first_at: int
    last_at: int
    weight: int


def inside(pieces: Iterable[Piece], organization: str) -> FromClause:
    """``tables.REQUEST``, of which only an organization's requests in ``pieces`` are read."""
    ranges = sorted(chain.from_iterable(piece.ranges for piece in pieces))
    listed = _Listed(msgspec.json.encode(ranges).decode()).table_valued("value", name="piece")
    first, end = _Member(listed.c.value, 0), _Member(listed.c.value, 1)
    own = REQUEST.c.organization_id == organization
    return _ByNumber(listed, REQUEST, and_(own, REQUEST.c.seq >= first, REQUEST.c.seq < end))


class InOrder(Join):
    """An inner join that goes through its left side first, and for each of its rows to the right one, a table, by an
    index. Databases may take the other side for the smaller one."""

    inherit_cache = True
    hint = ""


class _ByNumber(InOrder):
    """One to requests by their numbers: SQLite may take an index of anything else that is asked of them."""

    inherit_cache = True
    hint = " INDEXED BY ix_request_organization_id_seq"


@compiles(InOrder, "sqlite")
def _in_order(element: InOrder, compiler: SQLCompiler, **options: Any) -> str:
    left, right = (compiler.process(side, **{**options, "asfrom": True}) for side in (element.left, element.right))
    assert element.onclause is not None
    on = compiler.process(element.onclause, **{**options, "asfrom": False})
    return f"{left} CROSS JOIN {right}{element.hint} ON {on}"


@compiles(InOrder)
def _joined(element: InOrder, compiler: SQLCompiler, **options: Any) -> str:
    # What cannot be pulled apart (OFFSET 0) is done once for every row of the left side. Of two numbers between which a
    # third one is, Postgres would know too little to choose that by itself.
    left = compiler.process(element.left, **{**options, "asfrom": True})
    right = compiler.process(element.right, **{**options, "asfrom": True})
    assert element.onclause is not None
    on = compiler.process(element.onclause, **{**options, "asfrom": False})
    return f"{left} CROSS JOIN LATERAL (SELECT * FROM {right} WHERE {on} OFFSET 0) AS {right}"  # noqa: S608 - compiled, values are bound


class _Listed(FunctionElement[str]):
    """The members of a JSON array, one a row."""

    inherit_cache = True
    name = "listed"
    type = String()

    def __init__(self, array: str) -> None:
        super().__init__(literal(array, String))


@compiles(_Listed)
def _listed(element: _Listed, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements(CAST({compiler.process(element.clauses, **options)} AS json))"


@compiles(_Listed, "sqlite")
def _sqlite_listed(element: _Listed, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


class _Member(FunctionElement[int]):
    """A number that stands at a place of a JSON array."""

    inherit_cache = True
    name = "member"
    type = BigInteger()

    def __init__(self, array: ColumnElement[Any], place: int) -> None:
        super().__init__(array, literal_column(str(place)))


@compiles(_Member)
def _member(element: _Member, compiler: SQLCompiler, **options: Any) -> str:
    array, place = element.clauses
    return f"CAST({compiler.process(array, **options)} ->> {compiler.process(place, **options)} AS bigint)"


@compiles(_Member, "sqlite")
def _sqlite_member(element: _Member, compiler: SQLCompiler, **options: Any) -> str:
    array, place = element.clauses
    return f"json_extract({compiler.process(array, **options)}, '$[{compiler.process(place, **options)}]')"
