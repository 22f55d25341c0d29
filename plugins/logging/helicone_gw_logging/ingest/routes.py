"""Routes of ingestion: Helicone's addresses for logging afterwards, each with its own statuses and bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from quart import Blueprint, Response, request

from helicone_gw import GatewayKey, Headers, caller, require_role
from helicone_gw_logging.facts import KNOWN
from helicone_gw_logging.ingest import otlp_json
from helicone_gw_logging.ingest.checks import Problem, Refused
from helicone_gw_logging.ingest.helicone_log import told_of
from helicone_gw_logging.ingest.instants import in_range
from helicone_gw_logging.ingest.message import told_of_message
from helicone_gw_logging.ingest.payload import TooLarge, Unreadable, as_json, decoded
from helicone_gw_logging.ingest.spans import Malformed, Span
from helicone_gw_logging.ingest.told import Told, record_of
from helicone_gw_logging.ingest.traces import told_of_spans

if TYPE_CHECKING:
    from helicone_gw import Gateway
    from helicone_gw_logging.record import LogRecord

T = TypeVar("T")

PROVIDERS: Final = {"oai": "openai", "anthropic": "anthropic", "googleapis": "gemini", "custom": "custom"}
"""First segments of ``/{...}/v1/log``, and the provider that each means."""
GLANCE: Final = 16 << 10
"""Bytes of a body up to which it is read on the event loop: handing it to a thread would take longer."""
AT_ONCE: Final = 32
"""Spans that are priced and made records before others get their turn."""

MOST_RECENT: Final = 20_000
"""Spans that are known again without asking the database."""

_REQUEST_ID = KNOWN.index("request_id")
_NONE: dict[str, Any] = {}
_PROTOBUF = "application/x-protobuf"
_NOT_STORED = "The log has no room for it at the moment."
_REJECTED = "A span must have a start, within the last ten years, and the log must have room."


@dataclass(slots=True)
class Counters:
    """What was told since the start: exchanges taken, spans that were there already, or could not be, calls refused."""

    taken: int = 0
    spans_repeated: int = 0
    spans_rejected: int = 0
    calls_refused: int = 0


class Ingestion:
    """What the routes work with: from the bytes of a call to records handed over.

    ``keep`` takes a record and says whether there was room for it; ``bodies`` says whether any are stored, ``max_body``
    how much of each (bytes).
    """

    def __init__(self, gateway: Gateway, keep: Callable[[LogRecord], bool], *, bodies: bool, max_body: int) -> None:
        self.counters = Counters()
        self._gateway = gateway
        self._keep = keep
        self._bodies = bodies
        self._max_body = max_body
        self._recent: dict[str, None] = {}
        """Ids of the spans that were taken last: most that are sent again are, right after the first time."""

    async def body(self, headers: Headers) -> bytes:
        """The call's body without its coding. Raises `TooLarge`, `Unreadable`."""
        raw: bytes = await request.get_data(cache=False, as_text=False)  # type: ignore[assignment]
        coding = headers.get("content-encoding")
        if coding is None and len(raw) <= GLANCE:
            return raw
        return await asyncio.to_thread(decoded, raw, coding)

    async def read(self, body: bytes, make: Callable[[bytes], T]) -> T:
        """``make(body)``, in a thread if it would hold others up. Raises what that does, and `Unreadable`."""
        try:
            return make(body) if len(body) <= GLANCE else await asyncio.to_thread(make, body)
        except RecursionError:
            # It was just shallow enough to be read, and is too deep for what comes behind.
            raise Unreadable("The JSON is nested too deeply.") from None

    async def log_call(self, body: bytes, headers: Headers, route: str | None) -> Told:
        """What a call of Helicone's logging tells. Raises `Refused`, `TooLarge`, `Unreadable`."""
        head: bytes = (request.scope.get("extensions") or _NONE).get("helicone_gw.head", b"")  # type: ignore[assignment]
        now, catalogue = self._gateway.clock.now(), self._gateway.catalogue
        return await self.read(
            body, lambda data: told_of(as_json(data), headers, catalogue, now, route=route, head=head)
        )

    async def message(self, body: bytes) -> Told:
        """What a message of Helicone's own gateways tells. Raises like `log_call`."""
        now, catalogue = self._gateway.clock.now(), self._gateway.catalogue
        return await self.read(body, lambda data: told_of_message(as_json(data), catalogue, now))

    async def spans(self, body: bytes, headers: Headers, read: Callable[[bytes], list[Span]]) -> int:
        """Take every span of a call; returns how many were rejected. Raises `Malformed`, `TooLarge`, `Unreadable`."""
        now, key, catalogue = self._gateway.clock.now(), caller(request.scope), self._gateway.catalogue
        credential = (headers.get("authorization") or "").rsplit(" ", 1)[-1]
        secrets = (credential,) if credential else ()
        told = await self.read(body, lambda data: [*told_of_spans(read(data), headers, catalogue, secrets)])
        rejected = 0
        for number, one in enumerate(told, 1):
            good = in_range(one.started_at, one.ended_at, now) and self.take(one, key) is not None
            rejected += not good
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        self.counters.spans_rejected += rejected
        return rejected

    def take(self, told: Told, key: GatewayKey | None) -> str | None:
        """Hand over the record of ``told``; its request id, or ``None`` when there is no room for it."""
        prices = self._gateway.prices
        made = record_of(told, key, prices, max_body=self._max_body, bodies=self._bodies)
        if made.id in self._recent:
            self.counters.spans_repeated += 1
        elif self._keep(made):
            self.counters.taken += 1
            if told.span_id is not None:
                self._recent[made.id] = None
                if len(self._recent) > MOST_RECENT:
                    del self._recent[next(iter(self._recent))]
        else:
            return None
        return str(made.facts.known[_REQUEST_ID])


def routes(name: str, ingestion: Ingestion) -> Blueprint:
    """The addresses, for the plugin instance ``name``."""
    pages = Blueprint(f"{name}-ingest", __name__)
    for segment, provider in PROVIDERS.items():
        view = _log_view(ingestion, provider, _ok)
        for address in (f"/{segment}/v1/log", f"/{segment}/v1/log/"):
            pages.add_url_rule(address, f"log-{segment}", view, methods=["POST"])
    for number, path in enumerate(("/v1/trace/custom/v1/log", "/v1/trace/custom/log")):
        view = _log_view(ingestion, None, _empty)
        for address in (path, f"{path}/"):
            pages.add_url_rule(address, f"custom-{number}", view, methods=["POST"])

    @pages.post("/v1/trace/custom/log/typed")
    @pages.post("/v1/trace/custom/log/typed/")
    async def typed() -> Response:
        headers = _headers()
        try:
            told = await ingestion.log_call(await ingestion.body(headers), headers, None)
        except Refused as refused:
            return _invalid(400, refused.problems)
        except (TooLarge, Unreadable) as problem:
            return _invalid(400, [Problem("", str(problem))])
        identifier = ingestion.take(told, caller(request.scope))
        return _empty(identifier) if identifier is not None else _invalid(500, [Problem("", _NOT_STORED)])

    @pages.post("/v1/log/request")
    @pages.post("/v1/log/request/")
    async def message() -> Response:
        try:
            told = await ingestion.message(await ingestion.body(_headers()))
        except (Refused, TooLarge, Unreadable) as problem:
            return _error(400, str(problem))
        identifier = ingestion.take(told, caller(request.scope))
        return _empty(identifier) if identifier is not None else _error(500, _NOT_STORED)

    @pages.post("/v1/trace/log")
    @pages.post("/v1/trace/log/")
    async def otlp() -> Response:
        if (request.content_type or "").startswith((_PROTOBUF, "application/protobuf")):
            return await _protobuf(ingestion)
        headers = _headers()
        try:
            rejected = await ingestion.spans(
                await ingestion.body(headers), headers, lambda data: otlp_json.spans_of(as_json(data))
            )
        except (Malformed, TooLarge, Unreadable) as problem:
            return _otlp_error(str(problem))
        partial = {"rejectedSpans": rejected, "errorMessage": _REJECTED} if rejected else {}
        return _json(200, {"partialSuccess": partial} if partial else {})

    @pages.post("/v1/trace/log-python")
    @pages.post("/v1/trace/log-python/")
    async def otlp_python() -> Response:
        return await _protobuf(ingestion)

    @pages.before_request
    async def allowed() -> None:
        require_role(caller(request.scope), "member")

    @pages.after_request
    async def counted(response: Response) -> Response:
        ingestion.counters.calls_refused += response.status_code >= 400
        return response

    @pages.errorhandler(413)
    async def too_large(problem: Exception) -> Response:
        return _error(400, "Payload too large")

    return pages


def _log_view(ingestion: Ingestion, route: str | None, good: Callable[[str], Response]) -> Callable[[], Any]:
    async def view() -> Response:
        headers = _headers()
        try:
            told = await ingestion.log_call(await ingestion.body(headers), headers, route)
        except (Refused, TooLarge, Unreadable) as problem:
            return _error(400, str(problem))
        identifier = ingestion.take(told, caller(request.scope))
        if identifier is not None:
            return good(identifier)
        # Clients take 200 alone for success and try again on anything else: Helicone says so, and in words.
        return _error(200 if route is not None else 500, _NOT_STORED)

    return view


async def _protobuf(ingestion: Ingestion) -> Response:
    try:
        from helicone_gw_logging.ingest.otlp_protobuf import answer, spans_of
    except ImportError:
        return _otlp_error("Traces in protobuf need opentelemetry-proto: install helicone-gw-logging[otlp].", 501)
    headers = _headers()
    try:
        rejected = await ingestion.spans(await ingestion.body(headers), headers, spans_of)
    except (Malformed, TooLarge, Unreadable) as problem:
        return _otlp_error(str(problem))
    return Response(answer(rejected, _REJECTED), 200, content_type=_PROTOBUF)


def _headers() -> Headers:
    return Headers.of_lower_case(request.scope["headers"])


def _ok(identifier: str) -> Response:
    return Response("ok", 200, {"helicone-id": identifier}, content_type="text/plain; charset=utf-8")


def _empty(identifier: str) -> Response:
    return Response(b"", 200, {"helicone-id": identifier})


def _json(status: int, value: Any) -> Response:
    return Response(msgspec.json.encode(value), status, content_type="application/json")


def _error(status: int, message: str) -> Response:
    return _json(status, {"error": message})


def _otlp_error(message: str, status: int = 400) -> Response:
    """A ``google.rpc.Status`` as JSON; exporters only look at the status."""
    return _json(status, {"message": message})


def _invalid(status: int, problems: Iterable[Problem]) -> Response:
    errors = [{"field": each.field, "message": each.message} for each in problems]
    return _json(status, {"isValid": False, "errors": errors})
