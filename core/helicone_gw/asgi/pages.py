"""The gateway's own pages on ASGI: what is known before the view, and where a browser is sent to log in."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, quote

from helicone_gw.access import PageRequest
from helicone_gw.asgi.types import Message, Receive, Scope
from helicone_gw.errors import BadRequest, ClientTimeout, PayloadTooLarge
from helicone_gw.headers import Headers
from helicone_gw.ingress.location import Location
from helicone_gw.waiting import within

MAX_FORM = 1 << 20
"""Bytes of an HTML form that are read before it is known who sent it."""

MAX_FIELDS = 1000
"""Fields that such a form may have."""

MAX_NEXT = 2000
"""Length of the address to return to after the login; a longer one is left out."""

_FORM = "application/x-www-form-urlencoded"


class Body:
    """ASGI's ``receive``, of which the beginning may be read early: the application gets it all the same.

    ``idle`` is the longest silence in seconds while it is read early.
    """

    def __init__(self, receive: Receive, headers: Headers, idle: float) -> None:
        self._receive = receive
        self._headers = headers
        self._idle = idle
        self._read: list[Message] = []
        self._form: Mapping[str, str] | None = None

    async def __call__(self) -> Message:
        """What comes next, that which was read early first."""
        return self._read.pop(0) if self._read else await self._receive()

    async def form(self) -> Mapping[str, str]:
        """The fields of an HTML form, the first of each name; none for any other body.

        Raises `PayloadTooLarge` past `MAX_FORM`, `BadRequest` for more than `MAX_FIELDS`, `ClientTimeout`.
        """
        if self._form is None:
            kind = (self._headers.get("content-type") or "").partition(";")[0].strip().lower()
            self._form = _fields(await self._whole()) if kind == _FORM else {}
        return self._form

    async def _whole(self) -> bytes:
        size = 0
        while True:
            try:
                message = await within(self._idle, self._receive())
            except TimeoutError:
                raise ClientTimeout(f"No more of the form came within {self._idle:g} seconds.") from None
            self._read.append(message)
            size += len(message.get("body", b""))
            if size > MAX_FORM:
                raise PayloadTooLarge(f"A form may have {MAX_FORM} bytes at most.")
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                return b"".join(message.get("body", b"") for message in self._read)


def page_request(scope: Scope, headers: Headers, location: Location, client: str, body: Body) -> PageRequest:
    """What ``scope`` and ``location`` say of a request for a page; ``client`` is the address that it came from."""
    websocket = scope["type"] == "websocket"
    method = "GET" if websocket else scope["method"]
    # What a proxy says of that is believed from anybody: it makes the rules stricter, and no looser.
    forwarded = (headers.get("x-forwarded-proto") or "").partition(",")[0].strip().lower()
    secure = scope.get("scheme") in ("https", "wss") or forwarded in ("https", "wss")
    return PageRequest(method, location.path, location.query, headers, client, websocket, secure, body.form)


def login_address(page: PageRequest, login_page: str | None, root: str = "") -> str | None:
    """Where the browser that asked for ``page`` goes to log in; ``None`` when it is no browser that wants to see one.

    ``next`` is always an address of this gateway: the path that was asked for, and its query. ``root`` is what a proxy
    in front takes off the paths.
    """
    wanted = (page.headers.get("accept") or "").lower()
    if login_page is None or page.websocket or page.method not in ("GET", "HEAD") or "text/html" not in wanted:
        return None
    if page.path == login_page:
        return None
    address = f"{page.path}?{page.query}" if page.query else page.path
    back = "" if address == "/" or len(address) > MAX_NEXT else f"?next={quote(address, safe='/')}"
    return f"{root}{login_page}{back}"


def _fields(body: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadRequest(f"A form may have {MAX_FIELDS} fields at most.") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    return fields
