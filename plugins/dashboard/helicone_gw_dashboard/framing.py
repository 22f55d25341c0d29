"""Framing: the frame of a page is sent before that is known which fills it, so that a browser has something to draw.

Scripts and styles are loaded meanwhile, and what somebody sees first depends on no database. Only browsers that go to a
page get it in two pieces; whoever asks for it otherwise gets the whole page with its own status.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any, Final

from quart import Response

from helicone_gw_dashboard.rendering import LARGE, LEVEL, Html, finished

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

    from helicone_gw_dashboard.view import View

PATIENCE: Final = 0.01
"""Seconds within which a page is sent whole: what is wrong with an address is known by then, and has its own status."""

MAIN: Final = '<main id="main" tabindex="-1">'
"""Where what differs from page to page begins (``page.html``)."""
REST: Final = "<!-- rest -->"
"""Where it comes in a frame (``frame.html``)."""

_GZIP: Final = 16 + zlib.MAX_WBITS


def navigates(method: str, headers: Headers) -> bool:
    """Whether a browser goes to a page (Fetch Metadata; over plain HTTP, Upgrade Insecure Requests section 3.2)."""
    said = headers.get("Sec-Fetch-Mode") == "navigate" or headers.get("Upgrade-Insecure-Requests") == "1"
    return method == "GET" and said


async def comes(answering: asyncio.Future[Response]) -> bool:
    """Whether the page is there within `PATIENCE`."""
    await asyncio.wait((answering,), timeout=PATIENCE)
    return answering.done()


async def framed(view: View, page: Coroutine[Any, Any, Response], *, zipped: bool) -> Response:
    """``page`` where it comes soon, else its frame, and the rest of it as soon as it comes.

    The status is then 200 already: what keeps the page from being shown stands in the frame, as do ways elsewhere.
    """
    answering = asyncio.ensure_future(page)
    try:
        if await comes(answering):
            return await finished(answering.result(), zipped=zipped)
        frame, _, foot = view.html("frame.html", going="").partition(REST)
    except BaseException:
        answering.cancel()
        raise
    answer = view.page("")
    answer.response = answer.iterable_body_class(_pieces(view, answering, frame, foot, zipped=zipped))
    del answer.headers["Content-Length"]
    answer.headers["X-Accel-Buffering"] = "no"
    if zipped:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


async def _pieces(
    view: View, answering: asyncio.Future[Response], frame: str, foot: str, *, zipped: bool
) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP) if zipped else None
    try:
        yield frame.encode() if packer is None else packer.compress(frame.encode()) + packer.flush(zlib.Z_SYNC_FLUSH)
        answer = await answering
        rest = _rest(view, answer, foot).encode()
        if packer is None:
            yield rest
        elif len(rest) > LARGE:
            yield await asyncio.to_thread(lambda: packer.compress(rest) + packer.flush())
        else:
            yield packer.compress(rest) + packer.flush()
    finally:
        # Whoever left wants no answer any more.
        answering.cancel()


def _rest(view: View, answer: Response, foot: str) -> str:
    """What follows the frame."""
    if not isinstance(answer, Html):
        return view.html("frame.html", going=answer.headers.get("Location", "")).partition(REST)[2]
    _, begun, rest = answer.html.partition(MAIN)
    return rest if begun else answer.html + foot
