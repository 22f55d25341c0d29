"""Assets: the images in a request's bodies, found there when they are asked for: nothing is stored beside the bodies.

An asset's id is its place among the images, those that were sent first: "0", "1", ... What is only named by an address
is no asset: nobody fetches it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from helicone_gw_logging.api.routes import Call, Plain, Refused, Routes
from helicone_gw_logging.query.log import LoggedBody
from helicone_gw_logging.query.reading import reading
from helicone_gw_logging.query.requests import bodies, by_id

ROUTES = Routes("requests")

MAX_ASSETS: Final = 100
"""Images of a request that have an id, as Helicone has it."""

_SIGNATURES: Final = {
    b"\x89PNG\r\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}
"""How images begin that a browser may be shown: nothing in them is run."""
_URI: Final = "data:image/"


class Asset(Struct, frozen=True, kw_only=True):
    """Where an image is."""

    assetUrl: str  # noqa: N815 - the contract's name


@ROUTES.post("/v1/request/{id}/assets/{assetId}", data=Asset, errors=(404,))
async def place(call: Call) -> Asset:
    """Where an image of a request is: an address that needs the caller's key like every other."""
    await _image(call)
    return Asset(assetUrl=f"{call.origin}/v1/request/{call.path['id']}/assets/{call.path['assetId']}")


@ROUTES.get("/v1/request/{id}/assets/{assetId}", plain=(*_SIGNATURES.values(),), errors=(404,))
async def content(call: Call) -> Plain:
    """An image of a request."""
    data, kind = await _image(call)
    call.headers["X-Content-Type-Options"] = "nosniff"
    call.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return Plain(data, kind)


async def _image(call: Call) -> tuple[bytes, str]:
    async with reading(call.database) as connection:
        found = await by_id(connection, call.scope, call.path["id"])
        kept = (None, None)
        if found is not None:
            kept = await bodies(connection, call.scope, found.row["seq"], call.service.objects)  # type: ignore[assignment]
    there = await asyncio.to_thread(images, *kept)
    number = call.path["assetId"]
    if not (number.isascii() and number.isdecimal() and len(number) < 4 and int(number) < len(there)):
        raise Refused(404, "There is no such image of such a request.")
    return there[int(number)]


def images(request: LoggedBody | None, response: LoggedBody | None) -> list[tuple[bytes, str]]:
    """The images in two bodies that are JSON, with their content types, at most `MAX_ASSETS`."""
    found: list[tuple[bytes, str]] = []
    for body in (request, response):
        for written in _written(_value(body)):
            try:
                data = base64.b64decode(written, validate=True)
            except (ValueError, binascii.Error):
                continue
            kind = next((kind for begins, kind in _SIGNATURES.items() if data.startswith(begins)), None)
            if kind is not None and len(found) < MAX_ASSETS:
                found.append((data, kind))
    return found


def _value(body: LoggedBody | None) -> Any:
    if body is None or body.data is None:
        return None
    try:
        return msgspec.json.decode(body.data)
    except (msgspec.DecodeError, RecursionError):
        return None


def _written(value: Any) -> Iterator[str]:
    """The texts in ``value`` that may be images in base64: what has the name of one, and what a data URL holds."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += reversed(each)
        elif isinstance(each, dict):
            left += [_Named(name, held) if isinstance(held, str) else held for name, held in reversed(each.items())]
        elif isinstance(each, _Named):
            # OpenAI's images, Anthropic's and Gemini's sources, the call of a tool that makes images.
            if each.name in ("b64_json", "data", "result"):
                yield each.text
            else:
                left.append(each.text)
        elif isinstance(each, str) and each.startswith(_URI):
            yield each.partition(",")[2]


class _Named(Struct, frozen=True):
    name: str
    text: str
