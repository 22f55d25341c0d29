"""Pages: the gateway's own pages and REST routes, asked from inside the process on a caller's behalf."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import ExitStack
from contextvars import ContextVar
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import unquote

import httpx
import msgspec

from helicone_gw.access import ADMITTED, GatewayKey, KeyRing
from helicone_gw.audit import client_address
from helicone_gw.calling import CALLED, Application, Called, Lent
from helicone_gw.openapi import ApiOperation, api_document
from helicone_gw.panels import DashboardCard, DashboardPage

_asking: ContextVar[tuple[GatewayKey | None]] = ContextVar("helicone_gw_pages_caller")

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

ORIGIN = "http://gateway.internal"
"""What such a request is addressed to; it never leaves the process."""


class Pages:
    """What plugins serve, for other plugins: a dashboard reads the log through the log's own REST API.

    Nothing goes over a socket, and no key is looked up: whoever asks has established who the caller is.
    """

    def __init__(self, keys: KeyRing | None = None) -> None:
        self._keys = keys
        self._lent: Lent | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self.closing = False
        """Whether the server waits for its last answers: a page that is told of news should end now."""
        self._application: Application | None = None
        self._offered: dict[tuple[str, type[DashboardPage | DashboardCard], str], DashboardPage | DashboardCard] = {}
        self._client: httpx.AsyncClient | None = None
        self._described: list[tuple[Callable[[], Iterable[ApiOperation]], Callable[[], Mapping[str, Any]] | None]] = []
        self._document: bytes | None = None

    def serve(self, application: Application) -> None:
        """Ask ``application`` from now on; called by whoever builds the application."""
        self._application = application

    def offer(self, plugin: str, panel: DashboardPage | DashboardCard) -> None:
        """Offer a page or a card to whichever plugin is the dashboard; called in a plugin's ``startup``.

        ``plugin`` is the name of the instance; what it offers again under the same name takes the place of the first.
        Raises `ValueError` for a name that cannot stand in an address.
        """
        if not _NAME.fullmatch(panel.name):
            raise ValueError(f"{panel.name!r} is no name for a page: lower-case letters, digits and dashes")
        self._offered[plugin, type(panel), panel.name] = panel

    @property
    def offered(self) -> Sequence[tuple[str, DashboardPage | DashboardCard]]:
        """What was offered, with the name of the plugin, in that order."""
        return [(plugin, panel) for (plugin, _, _), panel in self._offered.items()]

    def describe(
        self,
        operations: Callable[[], Iterable[ApiOperation]],
        schemas: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        """Add to ``GET /v1/openapi.json`` what a plugin serves; called in its ``register_routes``.

        Both are asked when the document is asked for the first time: ``schemas`` is as for `api_document`.
        """
        self._described.append((operations, schemas))
        self._document = None

    def document(self) -> bytes:
        """All that was described, as an OpenAPI document in JSON."""
        if self._document is None:
            every = [one for operations, _ in self._described for one in operations()]
            schemas: dict[str, Any] = {}
            for _, more in self._described:
                schemas |= {} if more is None else more()
            self._document = msgspec.json.encode(api_document(every, schemas))
        return self._document

    async def ask(
        self,
        method: str,
        path: str,
        *,
        caller: GatewayKey | None,
        params: Mapping[str, str] | None = None,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The whole answer of the route at ``path``, as `caller` (``helicone_gw.caller``) sees it there.

        ``caller`` is the gateway key to act for; ``None`` is everybody on a gateway that has no keys, and sees all.
        Paths of providers are refused with 404: only pages of the gateway and its plugins are reached. Raises
        `RuntimeError` in a gateway that serves no application.
        """
        if self._application is None:
            raise RuntimeError("this gateway serves no pages")
        if self._client is None:
            transport = httpx.ASGITransport(self._admitted, raise_app_exceptions=False)
            # One client asks for everybody: what a route gives one caller to keep, nobody else may bring along.
            nothing = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
            self._client = httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=nothing)
        request = self._client.build_request(method, path, params=params, json=json, content=content, headers=headers)
        token = _asking.set((caller,))
        try:
            return await self._client.send(request)
        finally:
            _asking.reset(token)

    async def call(
        self,
        method: str,
        path: str,
        *,
        caller: GatewayKey | None,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> Called:
        """Ask a provider at ``path`` (with its query) for ``caller``, as if they had sent it: through every plugin.

        What ``caller`` may ask for, its limits and its organization are as with a key of its own; it is logged. No key
        need be known: whoever asks has established who the caller is, and that they mean it. It streams: `Called`.
        Leaving off there is what a client's departure is. Raises `RuntimeError` in a gateway that serves nothing.
        """
        if self._application is None or self._keys is None:
            raise RuntimeError("this gateway serves no pages")
        sent = {**(headers or {}), "host": "localhost", "content-length": str(len(content))}
        with ExitStack() as lending:
            if caller is not None:
                if self._lent is None:
                    # Asked after all others, and only once somebody calls: other requests' keys are found before it.
                    self._lent = Lent()
                    self._keys.register(self._lent)
                sent["helicone-auth"] = f"Bearer {lending.enter_context(self._lent.to(caller))}"
            scope = _scope(method, path, [(name.lower().encode(), value.encode()) for name, value in sent.items()])
            called = Called(self._application, scope, content)
            task = asyncio.create_task(called.run(), name="called")
            self._calls.add(task)
            task.add_done_callback(self._called)
            await called.begun()
        return called

    def _called(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()  # read: the answer has broken off, and the application's own log says why

    async def _admitted(
        self, scope: MutableMapping[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        assert self._application is not None
        scope[ADMITTED] = _asking.get()[0]
        await self._application(scope, receive, send)

    async def aclose(self) -> None:
        """Ask nothing more."""
        if self._client is not None:
            await self._client.aclose()


def _scope(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    where, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(where),
        "raw_path": where.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": (client_address(), 0),
        "server": ("localhost", 80),
        CALLED: True,
    }
