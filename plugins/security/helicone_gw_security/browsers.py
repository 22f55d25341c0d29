"""Browsers: the cookies that they send, where their requests come from, and the tokens that prove what they meant."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from helicone_gw import Headers

SESSION_COOKIE: Final = "helicone_gw_session"
"""The cookie of a session. The gateway forwards no cookie to a provider whose name begins with ``helicone_gw``."""

LOGIN_COOKIE: Final = "helicone_gw_login"
"""The cookie of a login at an OpenID provider that is under way."""

OPEN_PAGES: Final = ("/auth/login", "/auth/session", "/auth/oidc/")
"""The pages that need nobody."""

MAX_COOKIES: Final = 3
"""Cookies of one name that are looked at: a browser sends several when another host of the domain set one, too."""

MAX_NEXT: Final = 2000
"""Characters of an address to return to."""

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_NEXT = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
_PORTS = {"http": "80", "https": "443"}


def cookie_name(name: str, *, secure: bool, prefix: str = "") -> str:
    """What the cookie ``name`` is called: over https so that browsers take it from this host alone (RFC 6265bis,
    4.1.3). ``prefix`` is what stands before the paths of all pages: such a cookie is not the whole host's."""
    if not secure:
        return name
    return f"__Secure-{name}" if prefix else f"__Host-{name}"


def own_cookies(headers: Headers, name: str, *, secure: bool) -> list[str]:
    """The values of our cookie ``name``; over https only of those that nobody on the way can have set."""
    if not secure:
        return cookies(headers, name)
    return [*cookies(headers, f"__Host-{name}"), *cookies(headers, f"__Secure-{name}")]


def cookies(headers: Headers, name: str) -> list[str]:
    """The values of the cookies ``name`` that can be secrets of ours (RFC 6265, section 5.4), in order."""
    found: list[str] = []
    for field in headers.get_all("cookie"):
        for pair in field.split(";"):
            given, _, value = pair.strip().partition("=")
            if given == name and _SECRET.fullmatch(value):
                found.append(value)
    return found


def csrf_token(secret: str) -> str:
    """The token of the session whose cookie holds ``secret``: whoever cannot read the cookie cannot make it."""
    return hmac.new(secret.encode(), b"csrf token", hashlib.sha256).hexdigest()


def is_csrf_token(secret: str, given: str) -> bool:
    """Whether ``given`` is the `csrf_token` of ``secret``, in constant time."""
    return hmac.compare_digest(csrf_token(secret).encode(), given.encode("utf-8", "replace"))


def cross_site(headers: Headers) -> bool:
    """Whether a page of another site, or of another host of this one, sent the request.

    ``Sec-Fetch-Site`` (W3C Fetch Metadata) says so; browsers without it tell by ``Origin`` (RFC 6454), which must then
    be the host that was asked. Neither: no browser's page sent it.
    """
    sites = [site.strip().lower() for site in headers.get_all("sec-fetch-site")]
    if sites:
        return any(site not in ("same-origin", "none") for site in sites)
    host = (headers.get("host") or "").strip().lower()
    return any(not _is_host(origin, host) for origin in headers.get_all("origin"))


def local_address(text: str) -> str:
    """``text`` if it is the path of a page of ours to return to, else "/"."""
    return text if len(text) <= MAX_NEXT and _NEXT.fullmatch(text) else "/"


def _is_host(origin: str, host: str) -> bool:
    scheme, separator, authority = origin.strip().lower().partition("://")
    if not separator or not authority or scheme not in _PORTS:
        return False
    return _with_port(authority, scheme) == _with_port(host, scheme)


def _with_port(authority: str, scheme: str) -> str:
    return authority if re.search(r":\d+$", authority) else f"{authority}:{_PORTS[scheme]}"
