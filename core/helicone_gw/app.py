"""The application: a Quart app whose gateway paths are dispatched on ASGI, before Quart makes a request context."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from quart import Quart, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect, WebsocketMismatch

from helicone_gw.access import ADMITTED
from helicone_gw.asgi.admission import admit_local
from helicone_gw.asgi.http import serve_http
from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.asgi.websocket import serve_websocket
from helicone_gw.dialects import error_format
from helicone_gw.dialects.base import ErrorFacts
from helicone_gw.errors import ConfigError, GatewayError
from helicone_gw.errors import NotFound as PageNotFound
from helicone_gw.gateway import Gateway
from helicone_gw.headers import Headers
from helicone_gw.ingress.location import Location
from helicone_gw.ingress.locator import Locator


class App(Quart):
    """Serves one gateway: its own paths on ASGI, everything else (health, plugins' routes) through Quart."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__("helicone_gw", static_folder=None)
        self.gateway = gateway
        catalogue = gateway.catalogue
        self._locator = Locator(
            providers=catalogue.prefixes(), dialects=catalogue.dialects(), domains=gateway.config.server.domains
        )
        # Quart's defaults would cut streams after a minute and read bodies without bound.
        self.config["RESPONSE_TIMEOUT"] = None
        self.config["BODY_TIMEOUT"] = gateway.config.limits.idle_timeout
        self.config["MAX_CONTENT_LENGTH"] = int(gateway.config.server.max_body)
        self.register_error_handler(HTTPException, _http_problem)
        self.add_url_rule("/healthz", "healthz", self._healthz)
        self.add_url_rule("/readyz", "readyz", self._readyz)
        gateway.pages.serve(self)

    def mount_plugins(self) -> None:
        """Mount the plugins' own routes. Raises `ConfigError`, naming the plugin whose routes cannot be mounted."""
        for plugin, register_routes in self.gateway.lifecycle("register_routes"):
            try:
                blueprint = register_routes(self.gateway)
                if blueprint is not None:
                    self.register_blueprint(blueprint)
            except Exception as problem:
                raise ConfigError([f"plugin {plugin.name!r} cannot mount its routes: {problem}"]) from problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        """ASGI entry point."""
        kind = scope["type"]
        if kind == "http" or kind == "websocket":
            # Servers differ in how they hand on the names of a WebSocket's request.
            headers = (Headers.of_lower_case if kind == "http" else Headers)(scope["headers"])
            location = self._locate(scope, headers)
            if ADMITTED in scope:  # no server puts it there: `Pages` asks
                if location.kind != "local":
                    await _refuse(send, PageNotFound(f"There is no page at {location.path}."))
                    return
                await super().__call__(scope, receive, send)  # type: ignore[arg-type]
                return
            if location.kind != "local":
                serve = serve_http if kind == "http" else serve_websocket
                await serve(self.gateway, scope, headers, receive, send, location)
                return
            try:
                scope[ADMITTED] = await admit_local(self.gateway, headers, location)
            except GatewayError as error:
                if kind == "http":
                    await _refuse(send, error)
                else:
                    await receive()
                    await send({"type": "websocket.close", "code": 1008})
                return
        await super().__call__(scope, receive, send)  # type: ignore[arg-type]

    def _locate(self, scope: Scope, headers: Headers) -> Location:
        method: str = scope.get("method", "GET")
        path = scope.get("raw_path") or scope["path"].encode()
        location = self._locator("GET" if method == "HEAD" else method, path, scope["query_string"], headers)
        if location.kind == "unknown" and self._has_route(scope):
            return replace(location, kind="local")
        return location

    def _has_route(self, scope: Scope) -> bool:
        """Whether a plugin serves this path; asked only for what is no path of the gateway's own."""
        websocket = scope["type"] == "websocket"
        adapter = self.url_map.bind("", url_scheme="ws" if websocket else "http")
        try:
            adapter.match(scope["path"], scope.get("method", "GET"), websocket=websocket)
        except MethodNotAllowed:
            return True
        except (NotFound, RequestRedirect, WebsocketMismatch):
            return False
        return True

    async def _healthz(self) -> dict[str, str]:
        return {"status": "ok"}

    async def _readyz(self) -> tuple[dict[str, Any], int]:
        ready = self.gateway.ready
        state: dict[str, Any] = {"status": "ready" if ready else "not ready", "active": self.gateway.active}
        if resting := self.gateway.health.resting():
            state["resting"] = resting
        return state, 200 if ready else 503


async def _http_problem(problem: HTTPException) -> Response:
    status = problem.code or 500
    facts = ErrorFacts(
        status, "invalid_request_error", problem.name.lower().replace(" ", "_"), problem.description or ""
    )
    return Response(error_format("openai").body(facts), status, content_type="application/json")


async def _refuse(send: Send, error: GatewayError) -> None:
    facts = ErrorFacts(error.status, error.type, error.code, error.message, error.details)
    body = error_format("openai").body(facts)
    headers = Headers({"content-type": "application/json", "content-length": str(len(body)), **error.headers}).raw
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
