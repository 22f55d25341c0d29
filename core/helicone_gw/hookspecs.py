"""The hooks, and the marker that implements them. Requests go down the configured list, answers come up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import typer
    from quart import Blueprint

    from helicone_gw.decisions import Fallback, Retry
    from helicone_gw.errors import GatewayError
    from helicone_gw.exchange import Exchange
    from helicone_gw.gateway import Gateway
    from helicone_gw.model import Attempt, Chunk, Request, Response, Route

hookspec = pluggy.HookspecMarker("helicone_gw")
hookimpl = pluggy.HookimplMarker("helicone_gw")
"""Marks a method of a `Plugin` as its implementation of the hook of that name."""


@hookspec
async def startup(gateway: Gateway) -> None:
    """Open what the plugin needs: tables, connections, background tasks.

    Runs: once, outermost plugin first, before the first request.
    Returns: nothing.
    Raises: anything stops the boot, naming the plugin.
    """


@hookspec
async def shutdown(gateway: Gateway) -> None:
    """Settle and close what `startup` opened.

    Runs: once, innermost plugin first, after the last exchange finished; bounded by ``server.drain_timeout``.
    Returns: nothing.
    Raises: faults are logged and the next plugin is still asked.
    """


@hookspec
def register_routes(gateway: Gateway) -> Blueprint | None:
    """Offer HTTP routes of the plugin's own (a REST API, a dashboard).

    Runs: once, after every `startup`.
    Returns: a Quart blueprint, mounted where it says; gateway paths always win over it.
    Raises: anything stops the boot, naming the plugin.
    """


@hookspec
def register_commands(cli: typer.Typer) -> None:
    """Add subcommands to ``helicone-gw``.

    Runs: once per command line, without `startup`.
    Returns: nothing.
    Raises: anything ends the command, naming the plugin.
    """


@hookspec
async def pre_request(exchange: Exchange) -> Request | Response | None:
    """Look at the request before it goes further in.

    Runs: DOWN, outermost first, once per exchange; everything outside has agreed.
    Returns: ``None`` to go on, a `Request` that replaces it from here inwards, or a `Response` that answers it here:
    then only the layers outside this one see the answer go up.
    Raises: a `GatewayError` refuses, and only the layers outside this one are asked ``on_error``.
    """


@hookspec
async def route_model(exchange: Exchange) -> Route | None:
    """Turn the request's model string into targets.

    Runs: after DOWN, outermost first, until one answers; the core's own table is the last word.
    Returns: a `Route`, or ``None`` for no opinion.
    Raises: a `GatewayError` refuses the request.
    """


@hookspec
async def on_attempt(exchange: Exchange, attempt: Attempt) -> None:
    """Hear how one attempt went.

    Runs: after every attempt, good or bad, every layer, innermost first; a stream's attempt ends with its last event.
    Returns: nothing; a value is ignored.
    Raises: faults follow the plugin's failure mode.
    """


@hookspec
def on_stream_chunk(exchange: Exchange, chunk: Chunk) -> Chunk | Sequence[Chunk] | None:
    """Look at one event of a streamed answer before the client gets it. A plain ``def``: it must not wait.

    Runs: UP, innermost first, per event; once with ``kind == "end"``; with ``kind == "tick"`` where declared.
    Returns: ``None`` to leave it, a `Chunk` to replace it, a sequence to put any number in its place (none: held back).
    Raises: a `GatewayError` ends the stream with that error in the client's dialect.
    """


@hookspec
def before_stream(exchange: Exchange) -> None:
    """Keep what must survive this process, before a client can see the beginning of a streamed answer.

    Runs: every entered layer, innermost first, before the head of a stream or of a WebSocket leaves. A plain ``def``:
    it must not wait. Of usage and cost only those of earlier attempts are known.
    Returns: nothing.
    Raises: faults are logged and the next layer is still told.
    """


@hookspec
def before_end(exchange: Exchange) -> None:
    """Keep what must survive this process, before a client can have its whole answer.

    Runs: every entered layer, innermost first, at most once: before a buffered answer leaves, before the event that
    ends a stream in its dialect (or its last byte, where there is none), before the event that says why a stream broke.
    A plain ``def``: it must not wait. Outcome, usage, cost and captures are what they will be if the client takes the
    rest; ``on_finish`` says whether it did.
    Returns: nothing.
    Raises: faults are logged and the next layer is still told.
    """


@hookspec
async def on_response(exchange: Exchange, response: Response) -> Response | None:
    """Look at the answer on its way up.

    Runs: UP, innermost first, once per exchange that has an answer; of a streamed one (``response.streamed``) after
    its last event, the value then ignored. Usage and cost are known.
    Returns: ``None`` to leave it, or a `Response` that replaces it.
    Raises: a `GatewayError` becomes the answer, and only the layers outside this one are asked ``on_error``.
    """


@hookspec
async def on_error(exchange: Exchange, error: GatewayError) -> Retry | Fallback | Response | None:
    """Say what should follow a failure.

    Runs: UP, innermost first, until one answers: for every failed attempt, and for a `GatewayError` raised further
    in. After commit it is news and its value is ignored.
    Returns: `Retry` or `Fallback` (failed attempts only; without budget, deadline or target left they count as no
    opinion), a `Response` that the layers outside this one see go up, or ``None`` for no opinion.
    Raises: a `GatewayError` replaces the error for the layers outside.
    """


@hookspec
async def on_finish(exchange: Exchange) -> None:
    """Settle: outcome, usage, cost, attempts and bytes sent are final.

    Runs: exactly once per entered layer, innermost first, after the answer left or failed and the upstream is closed;
    on every layer for an exchange refused before DOWN. Where it never waits, write a plain ``def``: that saves a task
    per exchange.
    Returns: nothing.
    Raises: faults are logged and the next layer is still told.
    """
