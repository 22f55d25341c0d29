"""View: one request for a page, with all that a page needs: whose it is, data from the REST API, addresses, HTML."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlencode
from zoneinfo import ZoneInfo

import httpx
import msgspec
from quart import Request, Response, request

from helicone_gw import DashboardCard, DashboardPage, Gateway, GatewayError, GatewayKey, Plugin, Role, require_role
from helicone_gw_dashboard.assets import STYLES, Asset
from helicone_gw_dashboard.framing import navigates
from helicone_gw_dashboard.lens import USUAL, Lens
from helicone_gw_dashboard.navigation import GROUPS, Entry
from helicone_gw_dashboard.rendering import CONTENT_SECURITY_POLICY, Html, policy
from helicone_gw_dashboard.trouble import Trouble as Trouble

if TYPE_CHECKING:
    from helicone_gw_dashboard.site import Site

OPERATOR: Final = "default"
"""The organization whose people see the gateway itself."""

THEMES: Final = ("light", "dark")
HIDDEN: Final = "provider key operation"
"""Columns that are hidden where nobody chose."""
MAX_HIDDEN: Final = 200
"""Characters of their names."""

MAX_ZONE: Final = 64
"""Characters of the name of a time zone."""

ASK_SECONDS: Final = 20.0
"""How long one question to the REST API may take."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a page: its ``data``, or ``trouble``, a sentence that stands in its place."""

    data: Any = None
    trouble: str = ""


class View:
    """One request for a page, on behalf of ``caller``."""

    def __init__(self, site: Site, caller: GatewayKey | None, title: str, section: str) -> None:
        self.site = site
        self.caller = caller
        self.title = title
        self.section = section
        # Itself, and not what stands for it: parts of a page are made after its view has returned.
        self.request: Request = request._get_current_object()  # type: ignore[attr-defined]
        self.args: Mapping[str, str] = self.request.args
        self.partial = self.request.headers.get("HX-Request") == "true" and "HX-Boosted" not in self.request.headers
        """Whether htmx asks, for a part of a page that is there already."""
        self.stranger = False
        """Whether nobody is known, on a page that needs nobody: not everybody, as ``caller`` alone would say."""
        self.base = site.base(self.request.headers)

    @property
    def gateway(self) -> Gateway:
        """The gateway whose dashboard this is."""
        return self.site.gateway

    @property
    def now(self) -> int:
        """Epoch milliseconds."""
        return round(self.gateway.clock.now() * 1000)

    @property
    def root(self) -> str:
        """What addresses of the gateway itself begin with, as the browser sees them: "" without a proxy's prefix."""
        return self.site.forwarded(self.request.headers)

    @property
    def navigation(self) -> list[tuple[str, list[Entry]]]:
        """The sidebar, as far as the caller may go."""
        if self.stranger:
            return []
        offered = tuple(
            Entry(f"{plugin}/{panel.name}", panel.title, f"/of/{plugin}/{panel.name}", "plug", panel.role)
            for plugin, panel in self.gateway.pages.offered
            if isinstance(panel, DashboardPage)
        )
        groups = (*GROUPS, ("Plugins' own", offered))
        shown = ((heading, [entry for entry in entries if self._sees(entry)]) for heading, entries in groups)
        return [(heading, entries) for heading, entries in shown if entries]

    def _sees(self, entry: Entry) -> bool:
        return self.may(entry.role) and (self.operates or not entry.gateway)

    @property
    def has_cards(self) -> bool:
        """Whether a plugin offers a card that the caller may see."""
        return any(isinstance(panel, DashboardCard) and self.may(panel.role) for _, panel in self.gateway.pages.offered)

    @property
    def origin(self) -> str:
        """The gateway's own address, as the browser wrote it, without a slash at the end."""
        return f"{self.request.scheme}://{self.request.host}{self.root}"

    @property
    def minutes_ahead(self) -> int:
        """Minutes that the browser's clock is ahead of UTC, as it said in a cookie."""
        try:
            ahead = int(self.request.cookies.get("dashboard_clock", "0"))
        except ValueError:
            return 0
        return ahead if -1440 < ahead < 1440 else 0

    @property
    def theme(self) -> str:
        """The theme that was chosen in this browser, "light" or "dark"; "" for the system's."""
        chosen = self.request.cookies.get("dashboard_theme", "")
        return chosen if chosen in THEMES else ""

    @property
    def brings(self) -> Asset | None:
        """The styles that the page brings along: a browser that goes to its first page would wait for them."""
        if not navigates(self.request.method, self.request.headers):
            return None
        styles = self.site.assets[STYLES]
        return None if self.request.cookies.get("dashboard_styles") == styles.tag else styles

    @property
    def hidden(self) -> str:
        """The columns of the list of requests that are hidden in this browser."""
        return unquote(self.request.cookies.get("dashboard_hidden", HIDDEN))[:MAX_HIDDEN]

    def lens(self, usual: str = USUAL) -> Lens:
        """What the page looks at, as its address says; ``usual`` is the range where that says none."""
        return Lens.read(self.args, self.now, usual, self.zone)

    @property
    def zone_name(self) -> str:
        """The reader's time zone (IANA's name), as the browser said in a cookie; "" where it is not known here."""
        name = unquote(self.request.cookies.get("dashboard_zone", ""))
        return name if name and known_zone(name) else ""

    @property
    def zone(self) -> tzinfo:
        """The same as a time zone; without a name, one whose clocks are always as far ahead of UTC as now."""
        return known_zone(self.zone_name) or timezone(timedelta(minutes=self.minutes_ahead))

    @property
    def yesterday(self) -> dict[str, str]:
        """The parameters that say the day before this one, from midnight to midnight of the reader's own zone."""
        today = datetime.fromtimestamp(self.now / 1000, self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        before = (today.replace(tzinfo=None) - timedelta(days=1)).replace(tzinfo=self.zone)
        return {"from": str(round(before.timestamp() * 1000)), "to": str(round(today.timestamp() * 1000))}

    @property
    def operates(self) -> bool:
        """Whether the caller may see what concerns every organization: the gateway itself."""
        return self.caller is None or self.caller.organization == OPERATOR

    def instances(self, plugin: str) -> list[Plugin]:
        """The instances of ``plugin`` that are in the chain, outermost first, whatever they are called."""
        module = f"helicone_gw_{plugin.replace('-', '_')}"
        return [each for each in self.gateway.plugins if type(each).__module__.partition(".")[0] == module]

    def may(self, role: Role) -> bool:
        """Whether the caller has ``role`` or more."""
        try:
            require_role(self.caller, role)
        except GatewayError:
            return False
        return True

    async def form(self) -> Mapping[str, str]:
        """The fields of the form that was sent."""
        return await self.request.form

    async def ask(self, method: str, path: str, *, json: object = None, params: Mapping[str, str] | None = None) -> Any:
        """``data`` of what the REST route at ``path`` answers to the caller. Raises `Trouble` with its own words."""
        return (await self.ask_whole(method, path, json=json, params=params)).get("data")

    async def ask_whole(
        self, method: str, path: str, *, json: object = None, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The same with all that stands beside ``data`` in the envelope; a body without envelope is ``data``."""
        if self.stranger and path != "/auth/session":
            raise Trouble(401, "Log in first.")
        try:
            async with asyncio.timeout(ASK_SECONDS):
                answer = await self.gateway.pages.ask(method, path, caller=self.caller, json=json, params=params)
        except TimeoutError:
            raise Trouble(503, "The answer took too long to find.") from None
        return _whole(answer)

    async def panels(self, **questions: Coroutine[Any, Any, Any]) -> dict[str, Panel]:
        """The answers of several questions asked at once; each fails for itself."""
        panels = await asyncio.gather(*(_panel(question) for question in questions.values()))
        return dict(zip(questions, panels, strict=True))

    def url(self, path: str, /, **params: Any) -> str:
        """The address of one of the dashboard's pages: ``path`` as it was registered, empty parameters left out."""
        given = {name: value for name, value in params.items() if value not in (None, "")}
        query = f"?{urlencode(given, quote_via=quote)}" if given else ""
        return f"{self.base}{quote(path)}{query}"

    def asset(self, name: str) -> str:
        """The address of a script or a style."""
        return f"{self.base}/assets/{self.site.assets[name].tag}/{name}"

    def render(self, template: str, status: int = 200, /, **values: Any) -> Response:
        """An answer made of ``template``, which has ``values``, ``view``, ``url`` and ``asset``."""
        return self.page(self.html(template, **values), status)

    def page(self, html: str, status: int = 200) -> Html:
        """``html`` as an answer, which allows the styles that it brings."""
        styles = self.brings
        return Html(html, status, CONTENT_SECURITY_POLICY if styles is None else policy(styles.digest))

    def html(self, template: str, /, **values: Any) -> str:
        """The same as text."""
        return self.site.renderer.html(template, view=self, url=self.url, asset=self.asset, **values)

    async def render_aside(self, template: str, status: int = 200, /, **values: Any) -> Response:
        """The same in a thread, for what may be large: nobody's request waits for it on the event loop."""
        return await asyncio.to_thread(self.render, template, status, **values)

    def trouble(self, status: int, message: str) -> Response:
        """A page that says what is the matter; where a part was asked for, a notice."""
        if not self.partial:
            return self.render("trouble.html", status, status=status, message=message)
        answer = self.render("_notice.html", status, message=message, good=False)
        answer.headers["HX-Retarget"] = "#notices"
        answer.headers["HX-Reswap"] = "beforeend"
        return answer

    def go(self, address: str) -> Response:
        """Send the browser to ``address``, after something was done."""
        if self.partial:
            return Response(b"", 204, {"HX-Redirect": address})
        return Response(b"", 303, {"Location": address})


@lru_cache(maxsize=64)
def known_zone(name: str) -> tzinfo | None:
    """The time zone of that name (IANA's), where this machine knows it."""
    try:
        return ZoneInfo(name) if name and len(name) <= MAX_ZONE else None
    except (KeyError, ValueError, OSError):
        return None


def _whole(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        body = None
    enveloped = isinstance(body, dict) and "data" in body and "error" in body
    if answer.is_success:
        return body if enveloped else {"data": body}
    raise Trouble(answer.status_code, _reason(answer.status_code, body))


def _reason(status: int, body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    if status == 404 and not (isinstance(body, dict) and "data" in body):
        return "This gateway's plugins do not serve that: look at `plugins` in its configuration."
    return str(error) if error else f"The gateway answered with status {status}."


async def _panel(question: Coroutine[Any, Any, Any]) -> Panel:
    try:
        return Panel(await question)
    except Trouble as trouble:
        return Panel(trouble=trouble.message)
