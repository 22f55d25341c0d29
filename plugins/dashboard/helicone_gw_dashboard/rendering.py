"""Rendering: templates to HTML, every value escaped, and the header fields that all pages have."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from quart import Response

from helicone_gw_dashboard import formatting

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing runs, and nothing is loaded, but this gateway's own files; pictures may be part of a page's data."""


def policy(digest: str) -> str:
    """The same for a page that brings one style along, named by its SHA-256 (CSP 3, section 2.3.1)."""
    return CONTENT_SECURITY_POLICY.replace("style-src 'self'", f"style-src 'self' 'sha256-{digest}'")


HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

SMALL = 1400
"""Bytes of a page that are not worth compressing: they are one packet."""
LARGE = 100_000
"""Bytes of a page that are compressed in a thread, so that nobody's request waits for it on the event loop."""
LEVEL = 4
"""How hard pages are compressed (RFC 1951): more of it takes twice the time for a twentieth of the bytes."""


class Renderer:
    """The templates of ``folder``, each compiled when it is first needed."""

    def __init__(self, folder: Path = Path(__file__).parent / "templates") -> None:
        self._environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            auto_reload=False,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(formatting.FILTERS)
        self._environment.filters["json"] = _json
        self._environment.globals["change"] = formatting.change

    def html(self, template: str, **values: Any) -> str:
        """``template`` with ``values``."""
        return self._environment.get_template(template).render(values)

    @property
    def templates(self) -> list[str]:
        """The names of all templates."""
        return self._environment.list_templates()

    def compile(self, template: str) -> None:
        """Compile ``template``, so that nobody waits for that later."""
        self._environment.get_template(template)


class Html(Response):
    """An answer with ``html``, never to be kept by a cache, and not compressed yet: `finished` does that."""

    def __init__(self, html: str, status: int = 200, allowed: str = CONTENT_SECURITY_POLICY) -> None:
        headers = {
            **HEADERS,
            "Content-Security-Policy": allowed,
            "Cache-Control": "no-store",
            "Vary": "Accept-Encoding, HX-Request, Cookie",
        }
        super().__init__(html, status, headers, content_type="text/html; charset=utf-8")
        self.html = html


async def finished(answer: Response, *, zipped: bool) -> Response:
    """``answer`` as it is sent. ``zipped``: the client takes gzip."""
    if isinstance(answer, Html) and zipped and len(answer.html) > SMALL:
        body = answer.html.encode()
        aside = asyncio.to_thread if len(body) > LARGE else _here
        answer.set_data(await aside(gzip.compress, body, LEVEL, mtime=0))
        answer.headers["Content-Encoding"] = "gzip"
    return answer


async def _here(function: Callable[..., bytes], *args: Any, **options: Any) -> bytes:
    return function(*args, **options)


def _json(value: Any) -> str:
    """``value`` for an attribute that a script reads; escaped like all else."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
