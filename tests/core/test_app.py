"""The application: what the gateway answers itself, whose routes are whose, and who may see them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from quart import Blueprint, abort, request, websocket

from helicone_gw import (
    AuthenticationFailed,
    ConfigError,
    Gateway,
    GatewayKey,
    PageRequest,
    PermissionDenied,
    Permits,
    Plugin,
    PluginConfig,
    Target,
    caller,
    hookimpl,
    require_role,
)
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw.testing.client import http_scope


class Pages(Plugin):
    """Routes of a plugin's own."""

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint:
        pages = Blueprint(f"pages-{self.name}", __name__, url_prefix="/pages")

        @pages.get("/open")
        async def shown() -> str:
            return "shown"

        @pages.get("/closed")
        async def closed() -> str:
            return "closed"

        @pages.post("/echo")
        async def echo() -> bytes:
            return await request.get_data()

        @pages.get("/teapot")
        async def teapot() -> str:
            abort(418)

        @pages.get("/fault")
        async def fault() -> str:
            raise KeyError("sk-secret")

        @pages.get("/whoami")
        async def whoami() -> dict[str, str | None]:
            key = caller(request.scope)
            return {"owner": key.owner if key is not None else None}

        @pages.websocket("/live")
        async def live() -> None:
            await websocket.send(await websocket.receive())

        return pages


class Shadow(Plugin):
    """Routes at the gateway's own paths."""

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint:
        pages = Blueprint("shadow", __name__)

        @pages.route("/v1/chat/completions", methods=["POST"])
        async def stolen() -> str:
            return "stolen"

        return pages


class Silent(Plugin):
    @hookimpl
    def register_routes(self, gateway: Gateway) -> None:
        return None


class Doorman(Plugin):
    configured = True

    async def lookup(self, secret: str) -> GatewayKey | None:
        permits = Permits(paths=("/pages/open", "/pages/whoami", "/pages/live"))
        return GatewayKey("1", "reader", "ann", permits=permits) if secret == "hk-reader" else None

    async def knows(self, secret: str) -> bool:
        return secret == "hk-reader"

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        gateway.keys.register(self)


CLASSES: dict[str, type[Plugin]] = {"pages": Pages, "shadow": Shadow, "doorman": Doorman, "silent": Silent}
KEY = {"Authorization": "Bearer hk-reader"}


async def test_health_and_readiness(gateway: GatewayFactory) -> None:
    async with gateway() as running:
        assert (await running.request("GET", "/healthz")).json() == {"status": "ok"}
        ready = await running.request("GET", "/readyz")
        assert (ready.status, ready.json()) == (200, {"status": "ready", "active": 0})
        running.gateway.health.cool_down(Target("openai", "gpt-4o"), 60, "answered 529")
        running.gateway.health.cool_down(Target("llm.internal", "m", base_url="https://llm.internal"), 60, "no")
        resting = (await running.request("GET", "/readyz")).json()["resting"]
        assert resting == {"openai/gpt-4o": "answered 529, for another 60 s"}, "a client's own address is nobody's news"
        running.gateway.ready = False
        gone = await running.request("GET", "/readyz")
        assert (gone.status, gone.json()["status"]) == (503, "not ready")
        assert (await running.request("GET", "/healthz")).status == 200
        assert (await running.request("HEAD", "/healthz")).status == 200
        assert running.exchanges == [], "the gateway's own pages are no exchanges"


async def test_they_need_no_key_and_tell_nobody_else_anything(gateway: GatewayFactory) -> None:
    async with gateway(["doorman"], classes=CLASSES) as running:
        for path in ("/healthz", "/readyz"):
            assert (await running.request("GET", path)).status == 200
            assert (await running.request("POST", path)).status == 405


async def test_routes_of_a_plugin(gateway: GatewayFactory) -> None:
    async with gateway(["silent", "pages"], classes=CLASSES) as running:
        assert (await running.request("GET", "/pages/open")).body == b"shown"
        assert (await running.request("POST", "/pages/echo", content=b"hello")).body == b"hello"
        assert (await running.request("HEAD", "/pages/open")).status == 200
        assert running.provider.requests == []


@pytest.mark.parametrize(("method", "path", "status"), [("DELETE", "/pages/open", 405), ("GET", "/pages/teapot", 418)])
async def test_problems_of_routes_are_json(gateway: GatewayFactory, method: str, path: str, status: int) -> None:
    async with gateway(["pages"], classes=CLASSES) as running:
        reply = await running.request(method, path)
        assert reply.status == status
        assert reply.headers.get("content-type") == "application/json"
        assert reply.json()["error"]["message"]
        assert (reply.headers.get("allow") is not None) == (status == 405), "RFC 9110 15.5.6"


async def test_a_path_that_nobody_has(gateway: GatewayFactory) -> None:
    async with gateway(["pages"], classes=CLASSES) as running:
        for path in ("/pages/missing", "/nothing"):
            reply = await running.request("GET", path)
            assert reply.status == 404
            assert reply.json()["error"]["code"] == "not_found"


async def test_the_gateways_paths_win(gateway: GatewayFactory) -> None:
    async with gateway(["shadow"], classes=CLASSES) as running:
        reply = await running.chat()
        assert reply.body != b"stolen"
        assert len(running.provider.requests) == 1


async def guarded(running: RunningGateway, path: str, headers: dict[str, str]) -> tuple[int, str | None]:
    reply = await running.request("GET", path, headers=headers)
    return reply.status, reply.headers.get("www-authenticate")


async def test_routes_are_guarded_by_keys_and_permits(gateway: GatewayFactory) -> None:
    challenge = 'Bearer realm="helicone-gw"'
    async with gateway(["doorman", "pages"], classes=CLASSES) as running:
        assert await guarded(running, "/pages/open", {}) == (401, challenge)
        assert await guarded(running, "/pages/open", {"Authorization": "Bearer no"}) == (401, challenge)
        assert await guarded(running, "/pages/open", KEY) == (200, None)
        assert await guarded(running, "/pages/closed", KEY) == (403, None)
        for path in ("/pages/%6fpen", "//pages/closed", "/pages/open/../closed", "/pages//closed"):
            assert (await running.request("GET", path)).status in (401, 404), path
            assert (await running.request("GET", path, headers=KEY)).body != b"closed", path


async def test_routes_know_who_asks(gateway: GatewayFactory) -> None:
    async with gateway(["doorman", "pages"], classes=CLASSES) as running:
        assert (await running.request("GET", "/pages/whoami", headers=KEY)).json() == {"owner": "ann"}
    async with gateway(["pages"], classes=CLASSES) as running:
        assert (await running.request("GET", "/pages/whoami")).json() == {"owner": None}


def test_who_was_not_let_in_is_nobody() -> None:
    with pytest.raises(AuthenticationFailed):
        caller({"type": "http"})


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
async def test_an_open_gateways_routes_are_not_for_web_pages(gateway: GatewayFactory, headers: dict[str, str]) -> None:
    async with gateway(["pages"], classes=CLASSES) as running:
        reply = await running.request("GET", "/pages/open", headers=headers)
        assert reply.status == 403
        assert reply.json()["error"]["type"] == "permission_error"
        assert (await running.request("GET", "/healthz", headers=headers)).status == 200


async def live(running: RunningGateway, path: str, headers: dict[str, str]) -> list[Any]:
    """What a WebSocket client that says hello is sent."""
    scope = http_scope("GET", path, headers)
    del scope["method"]
    scope |= {"type": "websocket", "scheme": "ws", "subprotocols": []}
    said = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "hello", "bytes": None},
        {"type": "websocket.disconnect", "code": 1000},
    ]
    sent: list[Any] = []
    waiting = asyncio.Event()

    async def receive() -> Any:
        if len(said) == 1:
            await waiting.wait()
        return said.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "websocket.send":
            waiting.set()

    await running.app(scope, receive, send)
    return sent


async def test_a_plugins_websocket_is_served_and_guarded_too(gateway: GatewayFactory) -> None:
    async with gateway(["doorman", "pages"], classes=CLASSES) as running:
        accepted, answered, *_ = await live(running, "/pages/live", KEY)
        assert accepted["type"] == "websocket.accept"
        assert answered["text"] == "hello"
        assert await live(running, "/pages/live", {}) == [{"type": "websocket.close", "code": 1008}]
        for path in ("/pages/open", "/pages/missing"):
            assert [message["type"] for message in await live(running, path, KEY)] == ["websocket.close"], path


async def test_a_fault_in_a_route_is_a_500_that_tells_nothing(gateway: GatewayFactory) -> None:
    async with gateway(["pages"], classes=CLASSES) as running:
        reply = await running.request("GET", "/pages/fault")
        assert reply.status == 500
        assert b"sk-secret" not in reply.body
        assert reply.json()["error"]["code"] == "internal_server_error"


async def test_bodies_for_routes_are_bounded(gateway: GatewayFactory) -> None:
    async with gateway(["pages"], classes=CLASSES, config={"server": {"max_body": 1000}}) as running:
        assert (await running.request("POST", "/pages/echo", content=b"x" * 1000)).status == 200
        assert (await running.request("POST", "/pages/echo", content=b"x" * 1001)).status == 413


async def test_two_plugins_with_the_same_blueprint_are_told_apart(gateway: GatewayFactory) -> None:
    with pytest.raises(ConfigError, match="plugin 'two' cannot mount its routes"):
        async with gateway(["shadow", {"shadow": {"name": "two"}}], classes=CLASSES):
            pytest.fail("it started")


def test_streams_are_never_cut_by_the_framework() -> None:
    from helicone_gw import GatewayConfig
    from helicone_gw.app import App

    app = App(Gateway(GatewayConfig.model_validate({"database": {"url": "sqlite://"}, "server": {"max_body": 5000}})))
    assert app.config["RESPONSE_TIMEOUT"] is None
    assert app.config["MAX_CONTENT_LENGTH"] == 5000


def test_plugins_have_their_own_class() -> None:
    assert Pages(PluginConfig(), "pages").name == "pages"


class Lobby(Plugin):
    """Sessions by cookie, a login page for everybody, and a page that knows who asks."""

    configured = True

    async def caller(self, request: PageRequest) -> GatewayKey | None:
        cookie = request.headers.get("cookie")
        if cookie != "helicone_gw_session=ann":
            return None
        changes = request.method not in ("GET", "HEAD")
        if changes and "token" not in (request.headers.get("x-csrf-token"), (await request.form()).get("csrf_token")):
            raise PermissionDenied("no token", code="csrf")
        return GatewayKey("user:1", "ann", "ann", role="viewer")

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        gateway.keys.register_sessions(self)
        gateway.keys.open_pages("/login", "/static/")
        gateway.keys.login_page = "/login"

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint:
        pages = Blueprint("lobby", __name__)

        @pages.route("/login", methods=["GET", "POST"])
        async def login() -> str:
            try:
                key = caller(request.scope)
            except AuthenticationFailed:
                return "nobody"
            return "anybody" if key is None else key.name

        @pages.get("/static/<path:name>")
        async def static(name: str) -> str:
            return name

        @pages.post("/admin")
        async def admin() -> str:
            require_role(caller(request.scope), "admin")
            return "done"

        @pages.get("/strict")
        async def strict() -> str:
            return str(caller(request.scope))

        return pages


LOBBY: dict[str, type[Plugin]] = {**CLASSES, "lobby": Lobby}
SESSION = {"Cookie": "helicone_gw_session=ann"}
HTML = {"Accept": "text/html,*/*"}


async def test_a_session_lets_a_browser_in_and_never_a_request_for_a_provider(gateway: GatewayFactory) -> None:
    async with gateway(["lobby", "pages"], classes=LOBBY) as running:
        assert (await running.request("GET", "/pages/whoami", headers=SESSION)).json() == {"owner": "ann"}
        assert (
            await running.request("GET", "/pages/whoami", headers={"Cookie": "helicone_gw_session=bob"})
        ).status == 401
        assert (await running.chat(headers=SESSION)).status == 401, "where people log in, the gateway is not open"
        assert running.provider.requests == []


async def test_a_key_goes_before_the_session_of_the_browser_that_sends_it(gateway: GatewayFactory) -> None:
    async with gateway(["doorman", "lobby", "pages"], classes=LOBBY) as running:
        both = {**SESSION, **KEY}
        assert (await running.request("GET", "/pages/closed", headers=both)).status == 403, "the key's permits hold"
        assert (await running.request("GET", "/pages/closed", headers=SESSION)).status == 200
        wrong = {**SESSION, "Authorization": "Basic bm9ib2R5"}
        assert (await running.request("GET", "/pages/closed", headers=wrong)).status == 200, "some proxy's own"


async def test_what_a_session_changes_it_must_have_meant(gateway: GatewayFactory) -> None:
    form = {**SESSION, "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    async with gateway(["lobby", "pages"], classes=LOBBY) as running:
        refused = await running.request("POST", "/pages/echo", headers=SESSION, content=b"x")
        assert (refused.status, refused.json()["error"]["code"]) == (403, "csrf")
        told = await running.request("POST", "/pages/echo", headers={**SESSION, "X-CSRF-Token": "token"}, content=b"x")
        assert told.body == b"x"
        fields = b"a=1&csrf_token=token&csrf_token=second"
        assert (await running.request("POST", "/pages/echo", headers=form, content=fields)).body == fields
        for wrong in (b"csrf_token=", b"a=1", b"&".join(b"a=1" for _ in range(1001))):
            assert (await running.request("POST", "/pages/echo", headers=form, content=wrong)).status in (400, 403)
        large = await running.request("POST", "/pages/echo", headers=form, content=b"a=" + b"x" * (1 << 20))
        assert large.status == 413


async def test_open_pages_are_for_everybody_and_know_who_comes(gateway: GatewayFactory) -> None:
    async with gateway(["lobby", "pages"], classes=LOBBY) as running:
        assert (await running.request("GET", "/login")).body == b"nobody"
        assert (await running.request("POST", "/login", content=b"x")).body == b"nobody"
        assert (await running.request("GET", "/login", headers=SESSION)).body == b"ann"
        assert (await running.request("POST", "/login", headers=SESSION)).body == b"nobody", "sent by who knows whom"
        assert (await running.request("GET", "/static/css/main.css")).body == b"css/main.css"
        for path in ("/static", "/login/", "/%6cogin", "/static%2fx", "/loginx", "/strict", "/pages/open"):
            assert (await running.request("GET", path)).status in (401, 404), path


async def test_open_pages_of_an_open_gateway_are_still_not_for_other_sites(gateway: GatewayFactory) -> None:
    class Empty(Lobby):
        configured = False

    async with gateway(["lobby"], classes={**LOBBY, "lobby": Empty}) as running:
        assert (await running.request("GET", "/login")).body == b"anybody"
        assert (await running.request("GET", "/login", headers={"Host": "evil.example"})).status == 403


async def test_a_browser_without_a_session_is_sent_to_the_login_page(gateway: GatewayFactory) -> None:
    async with gateway(["lobby", "pages"], classes=LOBBY) as running:
        reply = await running.request("GET", "/pages/open?a=1", headers=HTML)
        assert (reply.status, reply.headers.get("location")) == (303, "/login?next=/pages/open%3Fa%3D1")
        assert (await running.request("POST", "/pages/echo", headers=HTML)).status == 401
        assert (await running.request("GET", "/pages/open")).status == 401, "a program is told, and not sent anywhere"
        assert [message["type"] for message in await live(running, "/pages/live", HTML)] == ["websocket.close"]


async def test_what_a_view_refuses_is_told_as_the_gateway_tells_it(gateway: GatewayFactory) -> None:
    async with gateway(["lobby", "pages"], classes=LOBBY) as running:
        reply = await running.request("POST", "/admin", headers={**SESSION, "X-CSRF-Token": "token"})
        assert (reply.status, reply.json()["error"]["code"]) == (403, "role_required")
