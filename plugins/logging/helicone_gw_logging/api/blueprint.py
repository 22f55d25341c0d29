"""Blueprint: the operations of the REST API, mounted; from bytes to typed bodies, and from results to envelopes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from quart import Blueprint, Response, current_app, request
from sqlalchemy.exc import DataError, InvalidRequestError, ProgrammingError, SQLAlchemyError
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from helicone_gw import PermissionDenied, caller, require_role
from helicone_gw_logging.api import (
    assets,
    export,
    feedback,
    metrics,
    percentiles,
    properties,
    rankings,
    reports,
    requests,
    sessions,
    sql,
    trees,
    users,
)
from helicone_gw_logging.api.routes import Call, Operation, Plain, Refused, Routes, Service
from helicone_gw_logging.ingest.payload import TooLarge, Unreadable, decoded
from helicone_gw_logging.objects import StorageFailed
from helicone_gw_logging.query.nodes import FilterError
from helicone_gw_logging.query.reading import SECONDS, TooLong
from helicone_gw_logging.query.scope import scope_of

MODULES: Final[tuple[Routes, ...]] = (
    requests.ROUTES,
    assets.ROUTES,
    feedback.ROUTES,
    properties.ROUTES,
    metrics.ROUTES,
    percentiles.ROUTES,
    rankings.ROUTES,
    reports.ROUTES,
    sessions.ROUTES,
    trees.ROUTES,
    users.ROUTES,
    export.ROUTES,
    sql.ROUTES,
)
"""The modules of this package that have operations."""

_NAMED: Final = ("/v1/session/{", "/v1/property/{")

MAX_BODY: Final = 10 << 20
"""Longest body of a request, in bytes."""

WRITE_SECONDS: Final = SECONDS + 5
"""How long an operation may take as a whole, what it waits for included."""


def blueprint(name: str, service: Service, modules: Sequence[Routes] = MODULES) -> Blueprint:
    """The pages of the plugin instance ``name``."""
    pages = Blueprint(f"{name}-api", __name__)
    # Blueprints have no converters of their own; the rules are made when it is registered.
    pages.record(lambda state: state.app.url_map.converters.update({_ANY: _AnyText}))
    for operation in operations(modules):
        view, rule = _view(operation, service), _rule(operation.path)
        for address in (rule, f"{rule}/"):
            pages.add_url_rule(
                address, operation.name, view, methods=[operation.method], provide_automatic_options=False
            )
    return pages


class _AnyText(BaseConverter):
    """What clients name as they like: sessions and properties. A slash is a character of the name as any other is."""

    part_isolating = False
    regex = ".+?"


_ANY = "any_text"


def _rule(path: str) -> str:
    """``path`` as Quart writes it."""
    converter = f"<{_ANY}:" if path.startswith(_NAMED) else "<"
    return path.replace("{", converter).replace("}", ">")


def operations(modules: Sequence[Routes] = MODULES) -> list[Operation]:
    """All operations of ``modules``."""
    return [operation for module in modules for operation in module.operations]


def _view(operation: Operation, service: Service) -> Callable[..., Awaitable[Response]]:
    decoder = None if operation.body is None else msgspec.json.Decoder(operation.body)

    async def view(**path: str) -> Response:
        key = caller(request.scope)
        headers: dict[str, str] = {}
        try:
            require_role(key, operation.role)
            query = None if operation.query is None else _query(operation.query)
            call = Call(service, scope_of(key), path, query, request.host_url.rstrip("/"), headers)
            arguments: tuple[Any, ...] = (call,) if decoder is None else (call, decoder.decode(await _body()))
            async with asyncio.timeout(WRITE_SECONDS):
                result = await operation.handler(*arguments)
        except Refused as refused:
            return _bad(refused.status, refused.message, headers)
        except PermissionDenied as denied:
            return _bad(denied.status, denied.message)
        except (msgspec.ValidationError, FilterError) as problem:
            return _bad(400, str(problem))
        except (msgspec.DecodeError, RecursionError):
            return _bad(400, "The body is not JSON, or nests too deep.")
        except (TooLong, TimeoutError):
            return _bad(503, "The answer took too long to find; a shorter time or a narrower filter is found sooner.")
        except (ProgrammingError, DataError, InvalidRequestError):
            # The database is there, and was asked what it does not understand. That is never the client's doing.
            return _fault(operation)
        except (SQLAlchemyError, OSError) as problem:
            current_app.logger.warning("%s: the log cannot be reached: %s", operation.name, type(problem).__name__)
            return _bad(503, "The log cannot be reached at the moment.")
        except StorageFailed as problem:
            return _bad(503, f"The bodies cannot be had at the moment: {problem}.")
        except Exception:
            return _fault(operation)
        return _good(operation, result, headers)

    return view


def _fault(operation: Operation) -> Response:
    """The answer to what nobody foresaw, which is being handled."""
    current_app.logger.exception("%s failed", operation.name)
    return _bad(500, "Something went wrong in the gateway; its own log says what.")


async def _body() -> bytes:
    if (request.content_length or 0) > MAX_BODY:
        raise Refused(413, "The body is too large.")
    try:
        body = bytes(await request.get_data(as_text=False))  # type: ignore[arg-type]
    except RequestEntityTooLarge:
        raise Refused(413, "The body is too large.") from None
    try:
        body = decoded(body, request.headers.get("Content-Encoding"))
    except TooLarge:
        raise Refused(413, "The body is too large.") from None
    except Unreadable as problem:
        raise Refused(400, str(problem)) from None
    if len(body) > MAX_BODY:
        raise Refused(413, "The body is too large.")
    return body or b"{}"


def _query(wanted: type[msgspec.Struct]) -> msgspec.Struct:
    given: dict[str, str] = {}
    for name, value in request.args.items(multi=True):
        if name in given:
            raise Refused(400, f"The parameter {name[:100]!r} is given twice.")
        given[name] = value
    return msgspec.convert(given, wanted, strict=False)


def _good(operation: Operation, result: Any, headers: dict[str, str]) -> Response:
    if isinstance(result, Plain):
        content: bytes | AsyncIterator[bytes] = result.content
        response = Response(content, operation.status, headers, content_type=result.content_type)
        if not isinstance(content, bytes):
            response.timeout = None  # it lasts as long as there is something to send; each piece has its own bound
        return response
    more: dict[str, Any] = {}
    if operation.more:
        result, more = result
    body = msgspec.json.encode({"data": result, "error": None, **more}, enc_hook=_plain)
    return Response(body, operation.status, headers, content_type="application/json")


def _plain(value: object) -> str:
    # SQLAlchemy gives names as texts of a class of its own.
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")


def _bad(status: int, error: str, headers: dict[str, str] | None = None) -> Response:
    body = msgspec.json.encode({"data": None, "error": error})
    return Response(body, status, headers, content_type="application/json")
