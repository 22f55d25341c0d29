"""The REST API of saved views: what there is, keeping one, taking one away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import msgspec
from quart import Blueprint, Response, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import RequestEntityTooLarge

from helicone_gw import ApiOperation, Gateway, GatewayError, GatewayKey, Role, caller, require_role
from helicone_gw_dashboard.saved import Saved, SavedView
from helicone_gw_dashboard.trouble import Trouble

VIEWS: Final = "/v1/dashboard/views"
MAX_BODY: Final = 64 << 10
"""Longest body of a request, in bytes."""


class NewView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A view to be kept; one's own of the same name becomes this one."""

    name: str
    query: str
    shared: bool = False


class Removed(msgspec.Struct, frozen=True):
    """Which view is gone."""

    id: str


def operations() -> Iterator[ApiOperation]:
    """What is served, for ``GET /v1/openapi.json``."""
    yield ApiOperation(
        method="GET",
        path=VIEWS,
        tag="dashboard",
        summary="Views of the list of requests: one's own, and what others share.",
        data=list[SavedView],
    )
    yield ApiOperation(
        method="POST",
        path=VIEWS,
        tag="dashboard",
        summary="Keep a view, for oneself or for all of the organization.",
        role="member",
        body=NewView,
        data=SavedView,
        errors=(400, 409, 413),
    )
    yield ApiOperation(
        method="DELETE",
        path=f"{VIEWS}/{{id}}",
        tag="dashboard",
        summary="Take a view away: one's own, or as an administrator one that is shared.",
        role="member",
        data=Removed,
        errors=(404,),
    )


def mount(blueprint: Blueprint, gateway: Gateway, saved: Saved) -> None:
    """Add the routes to ``blueprint``."""

    async def seen(key: GatewayKey | None) -> list[SavedView]:
        return await saved.seen(key)

    async def save(key: GatewayKey | None) -> SavedView:
        wanted = msgspec.json.decode(await _body(), type=NewView)
        kept = await saved.save(key, wanted.name, wanted.query, shared=wanted.shared)
        if kept.shared:
            after = {"name": kept.name, "query": kept.query}
            await gateway.audit(key, "view.share", f"view:{kept.id}", after=after)
        return kept

    async def remove(key: GatewayKey | None, id: str) -> Removed:
        gone = await saved.remove(key, id)
        if gone.shared:
            before = {"name": gone.name, "query": gone.query}
            await gateway.audit(key, "view.delete", f"view:{id}", before=before)
        return Removed(gone.id)

    served: tuple[tuple[str, str, Role, Callable[..., Awaitable[Any]]], ...] = (
        ("GET", VIEWS, "viewer", seen),
        ("POST", VIEWS, "member", save),
        ("DELETE", f"{VIEWS}/<id>", "member", remove),
    )
    for method, path, role, handler in served:
        view = _view(gateway, handler, role)
        name = f"{method} {VIEWS}".replace(".", "_")
        blueprint.add_url_rule(path, name, view, methods=[method], provide_automatic_options=False)


async def _body() -> bytes:
    try:
        data = bytes(await request.get_data(as_text=False))  # type: ignore[arg-type]
    except RequestEntityTooLarge:
        raise Trouble(413, "The body is too large.") from None
    if len(data) > MAX_BODY:
        raise Trouble(413, "The body is too large.")
    return data


def _view(gateway: Gateway, handler: Callable[..., Awaitable[Any]], role: Role) -> Callable[..., Awaitable[Response]]:
    async def view(**path: str) -> Response:
        try:
            key = caller(request.scope)
            require_role(key, role)
            if any("\0" in value or len(value) > 100 for value in path.values()):
                raise Trouble(404, "There is no such view.")
            return _answer(200, await handler(key, **path))
        except Trouble as trouble:
            return _answer(trouble.status, None, trouble.message)
        except GatewayError as error:
            return _answer(error.status, None, error.message)
        except msgspec.ValidationError as problem:
            return _answer(400, None, str(problem))
        except (msgspec.DecodeError, RecursionError):
            return _answer(400, None, "The body is not JSON, or nests too deep.")
        except (SQLAlchemyError, OSError):
            gateway.log.warning("saved views cannot be reached")
            return _answer(503, None, "The database cannot be reached at the moment.")

    return view


def _answer(status: int, data: Any, error: str | None = None) -> Response:
    body = msgspec.json.encode({"data": data, "error": error})
    return Response(body, status, content_type="application/json")
