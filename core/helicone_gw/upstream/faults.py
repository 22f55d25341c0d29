"""What went wrong with a call, in our own words: httpx's hold URLs, and those may hold keys."""

from __future__ import annotations

import os
import ssl

import httpx

from helicone_gw.errors import BadRequest, GatewayError, UpstreamConnectError, UpstreamProtocolError, UpstreamTimeout


def in_our_words(problem: httpx.HTTPError, provider: str) -> GatewayError:
    """The error for a failed call of ``provider``; its message holds no URL and no address."""
    if isinstance(problem, httpx.ConnectTimeout):
        return UpstreamConnectError(f"No connection to {provider} in time.")
    if isinstance(problem, httpx.PoolTimeout):
        return UpstreamConnectError(f"All connections are in use; none became free for {provider} in time.")
    if isinstance(problem, httpx.TimeoutException):
        return UpstreamTimeout(f"{provider} was too slow ({type(problem).__name__}).")
    if isinstance(problem, (httpx.ConnectError, httpx.UnsupportedProtocol)):
        return UpstreamConnectError(f"{provider} cannot be reached ({_cause(problem)}).")
    return UpstreamProtocolError(f"The connection to {provider} broke ({_cause(problem)}).")


def no_answer(provider: str, seconds: float) -> UpstreamTimeout:
    """No first byte came within ``seconds``."""
    return UpstreamTimeout(f"{provider} did not answer within {seconds:g} seconds.")


def silence(provider: str, seconds: float) -> UpstreamTimeout:
    """An answer began, and nothing more came of it for ``seconds``."""
    return UpstreamTimeout(f"{provider} sent nothing for {seconds:g} seconds in the middle of its answer.")


def no_url() -> BadRequest:
    """What the client asked for makes no URL."""
    return BadRequest(
        "Path and query do not make a URL for the provider: they are too long, or hold what no URL may.",
        code="invalid_url",
    )


def _cause(problem: BaseException) -> str:
    """The operating system's or OpenSSL's word for it, which holds no URL."""
    seen: BaseException | None = problem
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return f"TLS: {seen.reason or 'failed'}"
        if isinstance(seen, OSError) and seen.strerror:
            # asyncio's own text names the address, which need not be the client's to know.
            return os.strerror(seen.errno) if seen.errno and seen.errno > 0 else seen.strerror
        seen = seen.__cause__ or seen.__context__
    return type(problem).__name__
