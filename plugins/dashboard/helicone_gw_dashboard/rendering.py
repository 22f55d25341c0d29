"""Rendering: templates to HTML, every value escaped, and the header fields that all pages have."""

from __future__ import annotations

import gzip
import json
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

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

SMALL = 1400
"""Bytes of a page that are not worth compressing: they are one packet."""


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


def page(html: str, status: int = 200, *, zipped: bool = False) -> Response:
    """An answer with ``html``, never to be kept by a cache. ``zipped``: the client takes gzip."""
    body = html.encode()
    headers = {**HEADERS, "Cache-Control": "no-store", "Vary": "Accept-Encoding, HX-Request, Cookie"}
    if zipped and len(body) > SMALL:
        body = gzip.compress(body, 4, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, status, headers, content_type="text/html; charset=utf-8")


def _json(value: Any) -> str:
    """``value`` for an attribute that a script reads; escaped like all else."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
