"""Serving: what the pages of this plugin have in common: callers, bodies, envelopes, refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from quart import Blueprint, Response, current_app, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import RequestEntityTooLarge

from helicone_gw import GatewayError, GatewayKey, Role, caller, require_role
from helicone_gw_alerts.dispatching import Undeliverable
from helicone_gw_alerts.errors import LogUnavailable, Refusal

T = TypeVar("T")
Handler = Callable[..., Awaitable[Any]]
MAX_BODY: Final = 1 << 20
"""Longest body of a request, in bytes."""


class Call:
    """One request: who asks, and for which organization."""

    def __init__(self) -> None:
        self.key: GatewayKey | None = caller(request.scope)
        self.organization = "default" if self.key is None else self.key.organization

    @property
    def edits(self) -> bool:
        """Whether the caller is more than a viewer, and may see keys of webhooks again."""
        return self.key is None or self.key.role != "viewer"

    async def body(self, wanted: type[T]) -> T:
        """The body. Raises `Refusal`, and what msgspec raises for one that does not fit."""
        try:
            data = bytes(await request.get_data(as_text=False))  # type: ignore[arg-type]
        except RequestEntityTooLarge:
            raise _TooLarge("The body is too large.") from None
        if len(data) > MAX_BODY:
            raise _TooLarge("The body is too large.")
        return msgspec.json.decode(data or b"{}", type=wanted)


class _TooLarge(Refusal):
    status = 413


class Pages:
    """Pages under one blueprint."""

    def __init__(self, name: str) -> None:
        self.blueprint = Blueprint(name, __name__)

    def route(
        self, method: str, path: str, *, role: Role = "viewer", status: int = 200
    ) -> Callable[[Handler], Handler]:
        """Serve ``path`` with a function of the `Call` and what the path says; ``role`` is what a caller must be."""

        def declare(handler: Handler) -> Handler:
            endpoint = f"{method}{path}".replace("/", "_").replace("<", "").replace(">", "").replace(".", "_")
            view = _view(handler, role, status)
            self.blueprint.add_url_rule(path, endpoint, view, methods=[method], provide_automatic_options=False)
            return handler

        return declare


def _view(handler: Handler, role: Role, status: int) -> Callable[..., Awaitable[Response]]:
    async def view(**path: str) -> Response:
        try:
            if any("\0" in value or len(value) > 300 for value in path.values()):
                return _bad(404, "There is nothing of that name.")
            call = Call()
            require_role(call.key, role)
            result = await handler(call, **path)
        except Refusal as refusal:
            return _bad(refusal.status, str(refusal))
        except GatewayError as refused:
            return _bad(refused.status, refused.message)
        except msgspec.ValidationError as problem:
            return _bad(400, str(problem))
        except (msgspec.DecodeError, RecursionError):
            return _bad(400, "The body is not JSON, or nests too deep.")
        except Undeliverable as problem:
            return _bad(502, f"It could not be delivered: {problem}.")
        except LogUnavailable as problem:
            return _bad(503, f"The log cannot be asked at the moment: {problem}")
        except (SQLAlchemyError, OSError, TimeoutError):
            return _bad(503, "The database cannot be reached at the moment.")
        except Exception:
            current_app.logger.exception("%s failed", handler.__name__)
            return _bad(500, "Something went wrong in the gateway; its own log says what.")
        return result if isinstance(result, Response) else _good(result, status)

    return view


def _good(data: Any, status: int) -> Response:
    body = msgspec.json.encode({"data": data, "error": None})
    return Response(body, status, content_type="application/json")


def _bad(status: int, error: str) -> Response:
    return Response(msgspec.json.encode({"data": None, "error": error}), status, content_type="application/json")
