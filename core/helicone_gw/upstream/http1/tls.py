"""TLS towards providers: whose certificates are believed, and sessions that are taken up again."""

from __future__ import annotations

import os
import ssl
import time
from typing import TYPE_CHECKING, Any

import certifi

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_SESSIONS = 256
"""Hosts whose last session is kept; beyond it the one that was kept first goes."""


def default_context() -> ssl.SSLContext:
    """Certificates are verified against the system's store (``SSL_CERT_FILE``, ``SSL_CERT_DIR``), and against certifi's
    where the system has none, as in slim containers; only HTTP/1.1 is offered (ALPN)."""
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not _has_directory():
        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _has_directory() -> bool:
    # Certificates in a directory are looked up one by one and never appear in the statistics.
    directory = ssl.get_default_verify_paths().capath
    if directory is None:
        return False
    try:
        return any(name.rpartition(".")[2].isdigit() for name in os.listdir(directory))
    except OSError:
        return False


class Sessions:
    """Keeps the last TLS session of every host for connections made with one context, which saves a round trip of
    certificates (RFC 8446 2.2). ``resumed`` counts the handshakes in which a server took one up.

    asyncio and uvloop let nobody choose the session of a connection, but `ssl.SSLContext` lets one choose the class of
    its objects, and that knows its host name. A session is only ever offered to the name whose certificate was verified
    when it began.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.resumed = 0
        self._kept: dict[str, ssl.SSLSession] = {}
        sessions = self

        class Object(TLSObject):
            """An object of this cache."""

            _sessions = sessions

        context.sslobject_class = Object

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, name: str) -> ssl.SSLSession | None:
        """The session to offer to ``name``, if there is one that has not run out."""
        session = self._kept.get(name)
        if session is not None and session.time + session.timeout < time.time():
            del self._kept[name]
            return None
        return session

    def keep(self, name: str, session: ssl.SSLSession) -> None:
        """Offer ``session`` to ``name`` from now on."""
        self._kept.pop(name, None)
        if len(self._kept) >= MAX_SESSIONS:
            del self._kept[next(iter(self._kept))]
        self._kept[name] = session


class TLSObject(ssl.SSLObject):
    """What every connection of a context that has `Sessions` speaks through: ``ssl_object`` of its transport."""

    _sessions: Sessions
    _offered = False

    ended = False
    """Whether the other side said that it has no more to say (close_notify), which its FIN alone does not."""

    def read(self, len: int = 1024, buffer: WriteableBuffer | None = None) -> Any:
        """As always; notes the end."""
        data = super().read(len, buffer)
        if not data:
            self.ended = True
        return data

    def do_handshake(self) -> None:
        """Offer the session that is kept, once; the rest is as always."""
        name = self.server_hostname
        if not self._offered and name is not None:
            self._offered = True
            session = self._sessions.get(name)
            if session is not None:
                try:
                    self.session = session
                except ValueError:
                    # Of a context that was since replaced.
                    session = None
        super().do_handshake()
        if self.session_reused:
            self._sessions.resumed += 1

    def keep_session(self) -> bool:
        """Keep the session for the next connection. ``False`` when there is none yet: with TLS 1.3 the server sends its
        tickets after the handshake, and they are read with what it says next."""
        session, name = self.session, self.server_hostname
        if session is None or name is None:
            return False
        if not session.has_ticket and (self.version() == "TLSv1.3" or not session.id):
            return False
        self._sessions.keep(name, session)
        return True
