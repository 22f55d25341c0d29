"""Routing: what an operation of this API is, how a module declares its own, and how they are mounted.

Every operation names the role that it needs; nothing of a request is read before the caller is known to have it, and
every handler works in the caller's organisation alone. Answers are ``{"data": ..., "error": null}`` or
``{"data": null, "error": "...", "code": "..."}``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Struct
from quart import Blueprint, Response, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import RequestEntityTooLarge

from helicone_gw import (
    ApiOperation,
    BadRequest,
    GatewayError,
    GatewayKey,
    NotFound,
    Role,
    Unavailable,
    caller,
    require_role,
)

if TYPE_CHECKING:
    from helicone_gw import Clock
    from helicone_gw_security.audit_log import AuditLog
    from helicone_gw_security.keys import StoredKey
    from helicone_gw_security.logins import Logins
    from helicone_gw_security.organizations import OrganizationTable
    from helicone_gw_security.provider_table import ProviderTable
    from helicone_gw_security.store import KeyTable

MAX_BODY: Final = 256 * 1024
"""Bytes of a body that an operation reads."""

Method = Literal["GET", "POST", "PATCH", "DELETE"]
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


class Conflict(GatewayError):
    """What is wanted cannot be beside what is there."""

    status = 409
    code = "conflict"
    type = "invalid_request_error"


@dataclass(frozen=True, slots=True)
class Desk:
    """What operations work with. ``configured_keys`` are those of the configuration, which no operation changes;
    ``provider_keys`` is ``None`` where there is no encryption key; ``audit`` is `helicone_gw.Gateway.audit`."""

    keys: KeyTable
    configured_keys: Sequence[StoredKey]
    provider_keys: ProviderTable | None
    logins: Logins
    organizations: OrganizationTable
    audit_log: AuditLog
    audit: Any
    clock: Clock


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who asks (``None``: everybody, on an open gateway), its path's parameters, and its query."""

    desk: Desk
    caller: GatewayKey | None
    path: Mapping[str, str]
    query: Any = None

    @property
    def organization(self) -> str:
        """The organisation whose things may be seen and changed."""
        return "default" if self.caller is None else self.caller.organization

    @property
    def now(self) -> float:
        """Epoch seconds."""
        return self.desk.clock.now()

    async def tell(
        self,
        action: str,
        subject: str,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Put what was done into the audit log."""
        await self.desk.audit(self.caller, action, subject, before=before, after=after)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method and path (parameters in braces). ``body`` and ``query`` are the msgspec types that are read, ``data``
    that of the answer. ``flat``: the members of ``data`` stand beside it, too, where Helicone's own API has them."""

    method: Method
    path: str
    tag: str
    role: Role
    handler: Callable[..., Awaitable[Any]]
    body: type[Any] | None
    query: type[Struct] | None
    data: Any
    status: int
    flat: bool

    @property
    def name(self) -> str:
        """Unique among all operations."""
        return self.described().name

    def described(self) -> ApiOperation:
        """As the document of the REST API has it; what its function says of itself is what is said of it."""
        summary, _, description = (self.handler.__doc__ or "").strip().partition("\n\n")
        return ApiOperation(
            method=self.method,
            path=self.path,
            tag=self.tag,
            summary=" ".join(summary.split()),
            description=description,
            role=self.role,
            body=self.body,
            query=self.query,
            data=self.data,
            status=self.status,
            errors=(400, 404, 409, 413),
        )


class Routes:
    """The operations of one module, under one tag of the OpenAPI document."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.operations: list[Operation] = []

    def route(
        self,
        method: Method,
        path: str,
        *,
        role: Role = "admin",
        body: type[Any] | None = None,
        query: type[Struct] | None = None,
        data: Any = None,
        status: int = 200,
        flat: bool = False,
    ) -> Callable[[F], F]:
        """Declare an operation; its handler gets the `Call`, and the body where there is one."""

        def declare(handler: F) -> F:
            self.operations.append(Operation(method, path, self.tag, role, handler, body, query, data, status, flat))
            return handler

        return declare


def blueprint(
    name: str, desk: Desk, operations: Sequence[Operation], described: Callable[[], bytes], document: str
) -> Blueprint:
    """The operations, mounted, and what ``described`` tells of them, when it is asked for, at the path ``document``."""
    pages = Blueprint(f"{name}-admin", __name__)
    for operation in operations:
        rule = operation.path.replace("{", "<").replace("}", ">")
        view = _view(operation, desk)
        pages.add_url_rule(rule, operation.name, view, methods=[operation.method], provide_automatic_options=False)

    async def openapi() -> Response:
        return Response(described(), content_type="application/json")

    pages.add_url_rule(document, "openapi", openapi)

    @pages.errorhandler(GatewayError)
    async def refused(problem: GatewayError) -> Response:
        return _bad(problem)

    @pages.errorhandler(SQLAlchemyError)
    @pages.errorhandler(OSError)
    @pages.errorhandler(TimeoutError)
    async def away(problem: Exception) -> Response:
        return _bad(Unavailable("The database cannot be reached at the moment.", code="database_unavailable"))

    return pages


def _view(operation: Operation, desk: Desk) -> Callable[..., Awaitable[Response]]:
    decoder = None if operation.body is None else msgspec.json.Decoder(operation.body)

    async def view(**path: str) -> Response:
        key = caller(request.scope)
        require_role(key, operation.role)
        if any("\0" in value for value in path.values()):
            raise NotFound("There is nothing of that name.")
        try:
            query = None if operation.query is None else _query(operation.query)
            call = Call(desk, key, path, query)
            if decoder is None:
                result = await operation.handler(call)
            else:
                body = decoder.decode(await _body())
                _without_nul(msgspec.to_builtins(body))
                result = await operation.handler(call, body)
        except msgspec.ValidationError as problem:
            raise BadRequest(str(problem)) from None
        except (msgspec.DecodeError, RecursionError):
            raise BadRequest("The body is not JSON, or nests too deep.") from None
        return _good(operation, result)

    return view


async def _body() -> bytes:
    try:
        body = bytes(await request.get_data(as_text=False))  # type: ignore[arg-type]
    except RequestEntityTooLarge:
        raise BadRequest("The body is too large.", status=413) from None
    if len(body) > MAX_BODY:
        raise BadRequest("The body is too large.", status=413)
    return body or b"{}"


def _query(wanted: type[Struct]) -> Struct:
    given: dict[str, str] = {}
    for name, value in request.args.items(multi=True):
        if name in given:
            raise BadRequest(f"The parameter {name[:100]!r} is given twice.")
        given[name] = value
    _without_nul(given)
    return msgspec.convert(given, wanted, strict=False)


def _without_nul(value: Any) -> None:
    """Raise `BadRequest` for a text with a NUL, which Postgres has in none."""
    if isinstance(value, str) and "\0" in value:
        raise BadRequest("A text has a NUL character.")
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _without_nul(item)


def _good(operation: Operation, data: Any) -> Response:
    plain = msgspec.to_builtins(data)
    beside = plain if operation.flat and isinstance(plain, dict) else {}
    body = msgspec.json.encode({**beside, "data": plain, "error": None})
    return Response(body, operation.status, {"Cache-Control": "no-store"}, content_type="application/json")


def _bad(problem: GatewayError) -> Response:
    body = msgspec.json.encode({"data": None, "error": problem.message, "code": problem.code})
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(body, problem.status, headers, content_type="application/json")


def nothing(what: str) -> NotFound:
    """The refusal for what is not there, or not in the caller's organisation: the two look the same."""
    return NotFound(f"There is no such {what}.")
