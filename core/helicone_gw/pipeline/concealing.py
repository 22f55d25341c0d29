"""Concealing: keys and fixed fields that the gateway sent are not told to clients where a provider repeats them."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

from helicone_gw.errors import UpstreamError, UpstreamStatus, UpstreamStreamError
from helicone_gw.exchange import Exchange
from helicone_gw.headers import Headers
from helicone_gw.model import Response, UpstreamRequest
from helicone_gw.pipeline.decoding import decode

MARKER = b"[redacted]"

SHORTEST = 8
"""Characters of a value that is looked for; shorter ones occur everywhere."""

MAX_DECODED = 8 * 1024 * 1024
"""Bytes of an error's body that is decoded for it."""

_KNOWN = frozenset(
    b"host accept accept-encoding accept-language content-type content-length content-encoding transfer-encoding "
    b"connection user-agent anthropic-version anthropic-beta traceparent tracestate x-amz-date".split()
)
"""Fields that the gateway may add and that hold no secret."""


def conceal(error: UpstreamError, call: UpstreamRequest, exchange: Exchange) -> None:
    """Take out of ``error`` what ``call`` carried and the client did not send, where a provider repeats that.

    A provider that names the key it refuses, or an echo of the whole request, would hand the operator's key to whoever
    asks. Nothing is changed where nothing is repeated.
    """
    own = added(call, exchange)
    if not own:
        return
    if isinstance(error, UpstreamStatus):
        error.response = _response(error.response, own)
    elif isinstance(error, UpstreamStreamError):
        error.event = _without(error.event, own)
    message = error.message.encode("utf-8", "surrogatepass")
    error.message = _without(message, own).decode("utf-8", "surrogatepass")


def added(call: UpstreamRequest, exchange: Exchange) -> list[bytes]:
    """Values of fields and of the query that are the gateway's own, longest first."""
    theirs = set(exchange.request.headers.raw) | set(exchange.original.headers.raw)
    values: set[bytes] = set()
    for name, value in call.headers.raw:
        if name not in _KNOWN and (name, value) not in theirs:
            values.add(value)
            # The scheme goes before a credential, and its repetition may be without.
            values.add(value.rpartition(b" ")[2])
    query = call.url.partition("?")[2]
    if query:
        known = {value for _, value in parse_qsl(exchange.request.query, keep_blank_values=True)}
        values |= {
            value.encode("utf-8", "surrogatepass")
            for name, value in parse_qsl(query, keep_blank_values=True)
            if name == "key" and value not in known
        }
    if (credential := exchange.credential) is not None:
        theirs_too = unquote(credential.value).encode("utf-8", "surrogatepass")
        values = {value for value in values if value not in theirs_too}
    return sorted((value for value in values if len(value) >= SHORTEST), key=len, reverse=True)


def _response(response: Response, own: list[bytes]) -> Response:
    headers, body = response.headers, response.body or b""
    fields = [(name, _without(value, own)) for name, value in headers.raw]
    if tuple(fields) != headers.raw:
        response = response.replace(headers=Headers(fields))
    coding = (headers.get("content-encoding") or "identity").strip().lower()
    plain = decode(body, coding, MAX_DECODED)
    if plain is None:
        return response
    left = _without(plain, own)
    if left == plain:
        return response
    return response.replace(headers=response.headers.without("content-encoding", "content-length"), body=left)


def _without(data: bytes, own: list[bytes]) -> bytes:
    for value in own:
        if value in data:
            data = data.replace(value, MARKER)
    return data
