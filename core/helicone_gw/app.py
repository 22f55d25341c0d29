"""The application: a Quart app whose gateway paths are dispatched on ASGI, before Quart makes a request context."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Final

import msgspec
from quart import Quart, Response
from quart.routing import QuartRule
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect, WebsocketMismatch

from helicone_gw.access import ADMITTED, PageRequest
from helicone_gw.asgi.admission import admit_local
from helicone_gw.asgi.arrival import Arrival
from helicone_gw.asgi.cors import Cors
from helicone_gw.asgi.http import client_of, prefix_of, serve_http
from helicone_gw.asgi.pages import Body, login_address, page_request
from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.audit import ADDRESS
from helicone_gw.calling import CALLED
from helicone_gw.dialects import error_format
from helicone_gw.dialects.base import ErrorFacts
from helicone_gw.errors import AuthenticationFailed, ConfigError, GatewayError
from helicone_gw.errors import NotFound as PageNotFound
from helicone_gw.gateway import Gateway
from helicone_gw.headers import Headers
from helicone_gw.ingress.clients import PREFIX, path_prefix
from helicone_gw.ingress.location import Location
from helicone_gw.ingress.locator import Locator
from helicone_gw.openapi import JSON, ApiOperation
from helicone_gw.scope_extensions import ANSWER_WHOLE, MEMORY


class _Rule(QuartRule):
    """A route's rule. Werkzeug compiles two functions for each that make its address; hardly any is ever asked for."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        @cache
        def compiled() -> Callable[..., tuple[str, str]]:
            return super(_Rule, self)._compile_builder(append_unknown)

        def build(rule: _Rule, **values: Any) -> tuple[str, str]:
            return compiled()(rule, **values)

        return build


class App(Quart):
    """Serves one gateway: its own paths on ASGI, everything else (health, plugins' routes) through Quart."""

    url_rule_class = _Rule  # as Quart's own is to Flask

    def __init__(self, gateway: Gateway) -> None:
        super().__init__("helicone_gw", static_folder=None)
        self.gateway = gateway
        self._mounted: asyncio.Event | None = None
        self._begun = False
        catalogue = gateway.catalogue
        self._locator = Locator(
            providers=catalogue.prefixes(), dialects=catalogue.dialects(), domains=gateway.config.server.domains
        )
        cors = gateway.config.server.cors
        self._cors = None if cors is None else Cors(cors.origins, cors.max_age)
        # Quart's defaults would cut streams after a minute and read bodies without bound.
        self.config["RESPONSE_TIMEOUT"] = None
        self.config["BODY_TIMEOUT"] = gateway.config.limits.idle_timeout
        self.config["MAX_CONTENT_LENGTH"] = int(gateway.config.server.max_body)
        self.register_error_handler(HTTPException, _http_problem)
        self.register_error_handler(GatewayError, _gateway_problem)
        self.add_url_rule("/healthz", "healthz", self._healthz)
        self.add_url_rule("/readyz", "readyz", self._readyz)
        self.add_url_rule("/v1/openapi.json", "openapi", self._openapi)
        gateway.pages.serve(self)
        gateway.pages.describe(lambda: OPERATIONS)

    def mount_plugins(self) -> None:
        """Mount the plugins' own routes. Raises `ConfigError`, naming the plugin whose routes cannot be mounted."""
        for _ in self._mounting():
            pass

    def _mounting(self) -> Iterator[None]:
        for plugin, register_routes in self.gateway.lifecycle("register_routes"):
            try:
                blueprint = register_routes(self.gateway)
                if blueprint is not None:
                    self.register_blueprint(blueprint)
            except Exception as problem:
                raise ConfigError([f"plugin {plugin.name!r} cannot mount its routes: {problem}"]) from problem
            yield

    def put_off_mounting(self) -> None:
        """Serve providers' paths and ``/healthz`` before `mount_put_off` was called; whoever asks for another waits."""
        self._mounted = asyncio.Event()

    async def mount_put_off(self) -> None:
        """`mount_plugins` and `startup`, giving others their turn between two plugins. Raises what those raise."""
        try:
            for _ in self._mounting():
                await asyncio.sleep(0)
            await self.startup()
        finally:
            mounted, self._mounted = self._mounted, None
            if mounted is not None:
                mounted.set()

    async def startup(self) -> None:
        """As Quart's."""
        await super().startup()
        self._begun = True

    async def shutdown(self) -> None:
        """As Quart's, where `startup` had been."""
        if self._begun:
            await super().shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        """ASGI entry point."""
        kind = scope["type"]
        memory = scope["extensions"].get(MEMORY) if kind == "http" and "extensions" in scope else None
        if memory is not None and (arrival := memory.get(self)) is not None:
            await serve_http(self.gateway, scope, arrival, receive, send)
            return
        if kind == "http" or kind == "websocket":
            # Servers differ in how they hand on the names of a WebSocket's request.
            headers = (Headers.of_lower_case if kind == "http" else Headers)(scope["headers"])
            if self._cors is not None and kind == "http" and self._cors.allows(origin := headers.get("origin")):
                if await self._cors.preflight(scope["method"], headers, origin or "", send):
                    return
                send = self._cors.telling(origin or "", send)
                scope.get("extensions", {}).pop(ANSWER_WHOLE, None)  # it would pass that by
            location = self._locate(scope, headers)
            if self._mounted is not None and location.kind in ("local", "unknown"):
                if location.path == "/healthz" and scope.get("method") in ("GET", "HEAD"):
                    await _send_alive(scope, send)
                    return
                await self._mounted.wait()
                location = self._locate(scope, headers)
            if ADMITTED in scope:  # no server puts it there: `Pages` asks
                if location.kind != "local":
                    await _refuse(send, PageNotFound(f"There is no page at {location.path}."))
                    return
                await super().__call__(scope, receive, send)  # type: ignore[arg-type]
                return
            if location.kind != "local":
                if kind == "http":
                    arrival = self._arrived(scope, headers, location)
                    await serve_http(self.gateway, scope, arrival, receive, send)
                else:
                    from helicone_gw.asgi.websocket import serve_websocket  # whose library many never need

                    await serve_websocket(self.gateway, scope, Arrival(scope, headers, location), receive, send)
                return
            if CALLED in scope:  # nor this: `Pages` calls a provider
                await _refuse(send, PageNotFound(f"No provider has anything at {location.path}."))
                return
            body = Body(receive, headers, self.gateway.config.limits.idle_timeout)
            page = page_request(scope, headers, location, client_of(self.gateway, scope, headers), body)
            ADDRESS.set(page.client)
            scope[PREFIX] = prefix_of(self.gateway, scope, headers)
            try:
                scope[ADMITTED] = await admit_local(self.gateway, page, location)
            except GatewayError as error:
                if not self._is_open(scope, page):
                    await self._turn_away(scope, page, error, receive, send)
                    return
            receive = body
        await super().__call__(scope, receive, send)  # type: ignore[arg-type]

    def _is_open(self, scope: Scope, page: PageRequest) -> bool:
        """Whether whoever asks may have the page all the same; its view then knows nobody."""
        keys = self.gateway.keys
        # Views are found by the decoded path: both must say so.
        return keys.configured and keys.is_open_page(page.path) and keys.is_open_page(scope["path"])

    async def _turn_away(
        self, scope: Scope, page: PageRequest, error: GatewayError, receive: Receive, send: Send
    ) -> None:
        if page.websocket:
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        login = None
        if isinstance(error, AuthenticationFailed):
            login = login_address(page, self.gateway.keys.login_page, path_prefix(scope))
        if login is None:
            await _refuse(send, error)
            return
        headers = Headers({"location": login, "cache-control": "no-store", "content-length": "0"}).raw
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _arrived(self, scope: Scope, headers: Headers, location: Location) -> Arrival:
        """The arrival of a request, remembered where the engine knows heads again."""
        memory = scope.get("extensions", {}).get(MEMORY)
        if memory is None or location.kind == "unknown" or (self._cors is not None and "origin" in headers):
            return Arrival(scope, headers, location)
        memory.clear()  # of an application that was there before a reload
        arrival = memory[self] = Arrival(scope, headers.without("content-length"), location)
        return arrival

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
        return ALIVE

    async def _readyz(self) -> tuple[dict[str, Any], int]:
        unready = {plugin.name: why for plugin in self.gateway.plugins if (why := plugin.unready()) is not None}
        ready = self.gateway.ready and not unready
        state: dict[str, Any] = {"status": "ready" if ready else "not ready", "active": self.gateway.active}
        if unready:
            state["unready"] = unready
        if resting := self.gateway.health.resting():
            state["resting"] = resting
        return state, 200 if ready else 503

    async def _openapi(self) -> Response:
        return Response(self.gateway.pages.document(), content_type=JSON)


ALIVE: Final = {"status": "ok"}

OPERATIONS: Final = (
    ApiOperation(
        method="GET",
        path="/healthz",
        tag="gateway",
        summary="Whether the process runs.",
        role=None,
        plain=(JSON,),
        data=dict[str, str],
    ),
    ApiOperation(
        method="GET",
        path="/readyz",
        tag="gateway",
        summary="Whether it serves, what keeps it from that, and which targets rest.",
        role=None,
        plain=(JSON,),
        data=dict[str, Any],
        unlike={503: dict[str, Any]},
    ),
    ApiOperation(
        method="GET",
        path="/v1/openapi.json",
        tag="gateway",
        summary="This document.",
        plain=(JSON,),
        data=dict[str, Any],
    ),
)
"""What the application serves itself, beside the paths of providers."""


async def _http_problem(problem: HTTPException) -> Response:
    status = problem.code or 500
    facts = ErrorFacts(
        status, "invalid_request_error", problem.name.lower().replace(" ", "_"), problem.description or ""
    )
    allowed = problem.valid_methods if isinstance(problem, MethodNotAllowed) else None
    headers = {"Allow": ", ".join(sorted(allowed))} if allowed else {}
    return Response(error_format("openai").body(facts), status, headers, content_type="application/json")


async def _gateway_problem(problem: GatewayError) -> Response:
    return Response(_body(problem), problem.status, dict(problem.headers), content_type="application/json")


def _body(error: GatewayError) -> bytes:
    facts = ErrorFacts(error.status, error.type, error.code, error.message, error.details)
    return error_format("openai").body(facts)


async def _send_alive(scope: Scope, send: Send) -> None:
    """``/healthz`` before Quart serves anything: once it has, it takes no more routes."""
    body = msgspec.json.encode(ALIVE)
    headers = Headers({"content-type": JSON, "content-length": str(len(body))}).raw
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body, "more_body": False})


async def _refuse(send: Send, error: GatewayError) -> None:
    body = _body(error)
    headers = Headers({"content-type": "application/json", "content-length": str(len(body)), **error.headers}).raw
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
