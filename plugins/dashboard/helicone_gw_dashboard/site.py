"""Site: the dashboard as a whole: its pages, where it stands, and what every request for a page goes through."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from quart import Blueprint, Response, request
from werkzeug.datastructures import Headers

from helicone_gw import Gateway, GatewayError, Role, caller, path_prefix, require_role
from helicone_gw_dashboard.assets import Asset, Assets
from helicone_gw_dashboard.config import DashboardConfig
from helicone_gw_dashboard.framing import framed, navigates
from helicone_gw_dashboard.rendering import HEADERS, Renderer, finished
from helicone_gw_dashboard.view import Trouble, View

Handler = Callable[..., Awaitable[Response]]

_FORWARDED = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_KEPT = "public, max-age=31536000, immutable"

FIRST: Final = (
    *("base.html", "page.html", "_icons.html", "frame.html", "_parts.html", "_drawing.html", "overview.html"),
    *("dashboard.css", "dashboard.js", "vendor/uPlot.iife.min.js", "charts.js"),
)
"""Templates and assets that are needed first."""

BETWEEN: Final = 0.01
"""Seconds between two steps of what is done ahead, in which requests have their turn."""


@dataclass(frozen=True, slots=True)
class Page:
    """One address of the dashboard. ``section`` is the entry of the navigation that it belongs to.

    ``open``: it needs nobody, and its view knows nobody.
    """

    method: str
    path: str
    title: str
    section: str
    role: Role
    handler: Handler
    open: bool = False


class Pages:
    """The pages of one module, which decorates a function per address::

        PAGES = Pages("sessions")

        @PAGES.get("/sessions", "Sessions")
        async def sessions(view: View) -> Response:
            rows = await view.ask("POST", "/v1/session/query", json={...})
            return view.render("sessions.html", rows=rows)

    Parameters of the path (``/sessions/<id>``) are the function's. `view.ask` raises `Trouble`, which becomes a page.
    """

    def __init__(self, section: str) -> None:
        self.section = section
        self.pages: list[Page] = []

    def get(self, path: str, title: str, *, role: Role = "viewer", open: bool = False) -> Callable[[Handler], Handler]:
        """Declare a page that shows something."""
        return self._declare("GET", path, title, role, open)

    def post(self, path: str, title: str, *, role: Role = "member") -> Callable[[Handler], Handler]:
        """Declare what changes something, for those who have ``role``."""
        return self._declare("POST", path, title, role)

    def _declare(
        self, method: str, path: str, title: str, role: Role, open: bool = False
    ) -> Callable[[Handler], Handler]:
        def declare(handler: Handler) -> Handler:
            self.pages.append(Page(method, path, title, self.section, role, handler, open))
            return handler

        return declare


class Site:
    """The dashboard of ``gateway``."""

    def __init__(self, gateway: Gateway, config: DashboardConfig) -> None:
        self.gateway = gateway
        self.config = config
        self.assets = Assets()
        self.renderer = Renderer()
        self._paths: set[str] = set()
        self.visited = asyncio.Event()
        """Set as soon as somebody looks at a page."""
        self.live = 0
        """Pages that are being told of new requests."""

    def has(self, path: str) -> bool:
        """Whether there is a page at ``path``."""
        return path in self._paths

    @property
    def home(self) -> str:
        """The path of the overview, as the gateway sees it."""
        return "/" if self.config.root else f"{self.config.prefix}/"

    def base(self, headers: Headers) -> str:
        """What all addresses of pages begin with, as the browser sees them."""
        return self.forwarded(headers) + self.config.prefix

    def forwarded(self, headers: Headers) -> str:
        """What a proxy in front took off the path of the request, if it may say so."""
        if not self.config.forwarded_prefix:
            return path_prefix(request.scope)
        said = headers.get("X-Forwarded-Prefix", "").rstrip("/")
        return said if _FORWARDED.fullmatch(said) else ""

    def blueprint(self, name: str, modules: Iterable[Pages]) -> Blueprint:
        """Every page, mounted, for the plugin instance ``name``."""
        blueprint = Blueprint(f"{name}-pages", __name__)
        prefix = self.config.prefix
        for page in (page for module in modules for page in module.pages):
            rules = [f"{prefix}{page.path}"]
            self._paths.add(page.path)
            if page.path == "/":
                rules = [rule for rule in (prefix, f"{prefix}/") if rule] + ["/"] * (self.config.root and bool(prefix))
            for rule in dict.fromkeys(rules):
                blueprint.add_url_rule(
                    rule,
                    f"{page.method} {rule}".replace(".", "_"),
                    self._view(page),
                    methods=[page.method],
                    provide_automatic_options=False,
                    strict_slashes=True,
                )
        if prefix:
            # The least specific of all rules: what is nowhere below the prefix is told in the dashboard's own words.
            nowhere = self._view(Page("GET", "/<path:nowhere>", "Not here", "", "viewer", _nowhere))
            blueprint.add_url_rule(f"{prefix}/<path:nowhere>", "nowhere", nowhere)
        blueprint.add_url_rule(f"{prefix}/assets/<tag>/<path:name>", "assets", self._asset)
        return blueprint

    def _view(self, page: Page) -> Callable[..., Awaitable[Response]]:
        async def view(**path: Any) -> Response:
            self.visited.set()
            made = View(self, None if page.open else caller(request.scope), page.title, page.section)
            made.stranger = page.open
            answering = self._answer(page, made, path)
            if not page.open and not made.partial and navigates(request.method, request.headers):
                return await framed(made, answering, zipped=_zipped())
            return await finished(await answering, zipped=_zipped())

        return view

    async def _answer(self, page: Page, view: View, path: dict[str, Any]) -> Response:
        try:
            if not page.open:
                require_role(view.caller, page.role)
            return await page.handler(view, **path)
        except Trouble as trouble:
            return view.trouble(trouble.status, trouble.message)
        except GatewayError as error:
            return view.trouble(error.status, error.message)
        except Exception:
            self.gateway.log.exception("a page of the dashboard failed", page=page.path)
            return view.trouble(500, "Something went wrong in the gateway; its own log says what.")

    async def _asset(self, tag: str, name: str) -> Response:
        asset = self.assets.get(name, tag)
        if asset is None:
            return Response(b"There is no such file.", 404, HEADERS, content_type="text/plain")
        return _served(asset, zipped=_zipped())

    async def warm(self) -> None:
        """Do once what visitors would wait for, little by little: compile templates, compress assets.

        What the first of them needs at once, and all else as soon as there is one: many gateways are never looked at.
        """
        await self._ready(FIRST)
        await self.visited.wait()
        await self._ready((*self.renderer.templates, *self.assets.names))

    async def _ready(self, names: Iterable[str]) -> None:
        for name in names:
            if name.endswith(".html"):
                await asyncio.to_thread(self.renderer.compile, name)
            else:
                await asyncio.to_thread(getattr, self.assets[name], "zipped")
            await asyncio.sleep(BETWEEN)


def _zipped() -> bool:
    return "gzip" in request.headers.get("Accept-Encoding", "")


async def _nowhere(view: View, nowhere: str) -> Response:
    raise Trouble(404, "There is no such page.")


def _served(asset: Asset, *, zipped: bool) -> Response:
    headers = {**HEADERS, "Cache-Control": _KEPT, "Vary": "Accept-Encoding"}
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return Response(asset.zipped if zipped else asset.content, 200, headers, content_type=asset.content_type)
