"""Routes: what an operation of the REST API is, and how the modules of this package declare theirs.

A module makes one `Routes` and decorates a function per operation::

    ROUTES = Routes("users")

    @ROUTES.post("/v1/user/query", body=UserQuery, data=list[UserRow])
    async def query(call: Call, body: UserQuery) -> list[UserRow]:
        \"\"\"Users with what they used.\"\"\"

``api.blueprint`` mounts what its ``MODULES`` name, and the gateway's document of its REST API is made of the same
types, which are msgspec's: what a body's type refuses is a 400 that says where and why. The answer is
``{"data": ..., "error": null}``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from msgspec import Struct

from helicone_gw import ApiOperation, Role
from helicone_gw_logging.objects import Objects
from helicone_gw_logging.query.scope import Scope

if TYPE_CHECKING:
    from helicone_gw import Clock, Database

Method = Literal["GET", "POST", "PUT", "DELETE"]
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


FLUSH_SECONDS = 2.0
"""How long an operation waits for what is still to be written."""


class Refused(Exception):
    """An answer other than a good one: ``status`` and what ``error`` of the envelope says."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Service:
    """What operations work with. ``flush`` waits until what was logged so far, by this process, is in the database.

    ``objects`` is the storage of bodies that are not in the database.
    """

    database: Database
    clock: Clock
    flush: Callable[[], Awaitable[None]]
    objects: Objects | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request for an operation: whose rows it may see, its path's parameters, its query (of the declared type).

    ``origin`` is the gateway's own address as the client wrote it, without a slash at the end. ``headers`` is what an
    operation wants to add to its answer.
    """

    service: Service
    scope: Scope
    path: Mapping[str, str]
    query: Any = None
    origin: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        """The gateway's database."""
        return self.service.database

    async def flushed(self) -> None:
        """Wait until what was logged so far is in the database, or for two seconds."""
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self.service.flush()
        except TimeoutError:
            pass

    @property
    def now(self) -> int:
        """Epoch milliseconds."""
        return round(self.service.clock.now() * 1000)


@dataclass(frozen=True, slots=True)
class Plain:
    """An answer without an envelope: bytes, or pieces of them as they come."""

    content: bytes | AsyncIterator[bytes]
    content_type: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method and path. ``data`` is the type of the envelope's; ``plain``: there is none, but these content types.

    ``errors`` are the statuses that it answers with beside ``status`` and those that every operation has (400, 401,
    403, 413, 503). ``role`` is what the caller must be at least.
    """

    method: Method
    path: str
    tag: str
    handler: Callable[..., Awaitable[Any]]
    body: type[Any] | None
    query: type[Struct] | None
    data: Any
    status: int
    errors: tuple[int, ...]
    plain: tuple[str, ...]
    more: Mapping[str, Any]
    role: Role

    @property
    def name(self) -> str:
        """Unique among all operations."""
        return self.described().name

    def described(self) -> ApiOperation:
        """As the document of the REST API has it; what its function says of itself is what is said of it."""
        summary, _, description = (self.handler.__doc__ or "").strip().partition("\n")
        return ApiOperation(
            method=self.method,
            path=self.path,
            tag=self.tag,
            summary=summary,
            description=description,
            role=self.role,
            body=self.body,
            query=self.query,
            data=self.data,
            status=self.status,
            errors=(*self.errors, 503),
            plain=self.plain,
            more=self.more,
        )


class Routes:
    """The operations of one module, under one tag of the OpenAPI document."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.operations: list[Operation] = []

    def get(self, path: str, **options: Any) -> Callable[[F], F]:
        """Declare a GET; ``options`` as for `route`."""
        return self.route("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[F], F]:
        """Declare a POST; ``options`` as for `route`."""
        return self.route("POST", path, **options)

    def route(
        self,
        method: Method,
        path: str,
        *,
        body: type[Any] | None = None,
        query: type[Struct] | None = None,
        data: Any = None,
        status: int = 200,
        errors: tuple[int, ...] = (),
        plain: str | tuple[str, ...] = (),
        more: Mapping[str, Any] | None = None,
        role: Role = "viewer",
    ) -> Callable[[F], F]:
        """Declare an operation.

        Args:
            method: of HTTP.
            path: with its parameters in braces.
            body: the msgspec type of the JSON body; ``None``: it has none. The handler gets ``(call, body)``, or
                ``(call)`` alone.
            query: the msgspec ``Struct`` of the URL's query, whose values are converted; unknown ones are refused.
            data: the type of the envelope's ``data``.
            status: of a good answer.
            errors: further statuses.
            plain: the content type, or types, of an answer without an envelope; the handler returns `Plain`.
            more: members beside ``data`` and ``error`` in the envelope, with their types; the handler returns
                ``(data, {member: value})``.
            role: what the caller must be at least; whoever changes something is a member.
        """

        def declare(handler: F) -> F:
            types = (plain,) if isinstance(plain, str) else plain
            self.operations.append(
                Operation(method, path, self.tag, handler, body, query, data, status, errors, types, more or {}, role)
            )
            return handler

        return declare
