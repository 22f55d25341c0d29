"""Access tokens of Google Cloud, by google-auth: had off the loop, kept until shortly before they expire."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Callable
from datetime import UTC
from typing import Any, Protocol

import httpx

from helicone_gw.errors import UpstreamConnectError

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

REFRESH_BEFORE = 300.0
"""Seconds before its end that a token is renewed, while the old one still serves whoever does not renew it."""

TIMEOUT = 20.0
"""Seconds that Google's token service may take."""


class TokenSource(Protocol):
    """Where tokens come from; the methods of google-auth's credentials that are used here. Blocking."""

    token: str | None
    expiry: Any
    """When ``token`` ends: a naive `datetime.datetime` in UTC, ``None`` when that is not known."""

    def refresh(self, request: Any) -> None:
        """Get a new token. Raises google-auth's errors."""


Load = Callable[[str | None], TokenSource]
"""The credentials in a file (a service account's key, a workload identity's configuration); ``None``: the
environment's (GOOGLE_APPLICATION_CREDENTIALS, gcloud's own, the metadata server). Blocking."""


class GoogleTokens:
    """The tokens of one set of credentials. Used within one event loop."""

    def __init__(self, file: str | None, *, load: Load | None = None, now: Callable[[], float] = time.time) -> None:
        self._file = file
        self._load = load or _load
        self._now = now
        self._source: TokenSource | None = None
        self._renewing = asyncio.Lock()

    async def token(self) -> str:
        """A token that is valid now. Raises `UpstreamConnectError` when none can be had."""
        while True:
            left = self._left()
            if left > REFRESH_BEFORE or (left > 0 and self._renewing.locked()):
                return self._current()
            async with self._renewing:
                left = self._left()
                if left > REFRESH_BEFORE:
                    continue
                try:
                    await asyncio.to_thread(self._renew)
                except Exception as problem:
                    if left > 0:
                        return self._current()  # what is still valid serves until it ends
                    # Messages of google-auth may hold the service's whole answer: its class says enough.
                    raise UpstreamConnectError(
                        f"No access token could be had from Google ({type(problem).__name__}).",
                        code="provider_credential_unavailable",
                    ) from problem
                return self._current()

    def _current(self) -> str:
        assert self._source is not None
        return self._source.token or ""

    def _left(self) -> float:
        """Seconds that the current token is still valid."""
        source = self._source
        if source is None or not source.token:
            return 0.0
        if source.expiry is None:
            return float("inf")
        return float(source.expiry.replace(tzinfo=UTC).timestamp()) - self._now()

    def _renew(self) -> None:
        if self._source is None:
            self._source = self._load(self._file)
        self._source.refresh(_over_httpx())


def _load(file: str | None) -> TokenSource:
    import google.auth

    if file is None:
        found, _ = google.auth.default(scopes=[SCOPE])
    else:
        with warnings.catch_warnings():
            # It warns of files from others, which may name addresses of theirs; this one is the operator's own.
            warnings.simplefilter("ignore", DeprecationWarning)
            found, _ = google.auth.load_credentials_from_file(file, scopes=[SCOPE])  # type: ignore[no-untyped-call]
    source: TokenSource = found
    return source


def _over_httpx() -> Any:
    """google-auth's transport, over the HTTP client that is here anyway."""
    from google.auth.exceptions import TransportError
    from google.auth.transport import Request

    class Answer:
        def __init__(self, response: httpx.Response) -> None:
            self.status = response.status_code
            self.headers = response.headers
            self.data = response.content

    class OverHttpx(Request):
        def __call__(
            self,
            url: str,
            method: str = "GET",
            body: bytes | None = None,
            headers: Any = None,
            timeout: float | None = None,
            **options: Any,
        ) -> Answer:
            try:
                return Answer(
                    httpx.request(method, url, content=body, headers=headers, timeout=min(timeout or TIMEOUT, TIMEOUT))
                )
            except httpx.HTTPError as problem:
                raise TransportError(type(problem).__name__) from None  # type: ignore[no-untyped-call]

    return OverHttpx()
