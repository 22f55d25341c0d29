"""Audit: what people change through the gateway's own pages and commands, told to whoever keeps the record of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from helicone_gw.access import GatewayKey

ADDRESS: ContextVar[str] = ContextVar("helicone_gw_audit_address", default="")
"""The address that the request for a page came from; set by the application, "" outside any request."""


def client_address() -> str:
    """The address that the request for a page came from, as far as anybody knows; "" outside any request."""
    return ADDRESS.get()


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change: who (``actor``, and the ``actor_id`` of key or user), when (epoch seconds), from where, and what.

    ``action`` is a noun and a verb ("key.revoke"), ``subject`` what it was done to ("key:3f2a..."); ``before`` and
    ``after`` are what there is to tell of it, JSON-able and without secrets.
    """

    at: float
    organization: str
    actor_id: str
    actor: str
    action: str
    subject: str
    before: Mapping[str, Any] | None = field(default=None, repr=False)
    after: Mapping[str, Any] | None = field(default=None, repr=False)
    address: str = ""


class AuditSink(Protocol):
    """Something that keeps audit entries: the ``security`` plugin, or any other."""

    async def record(self, entry: AuditEntry) -> None:
        """Keep ``entry``. Whatever it raises is logged, and does not undo the change."""


class Audit:
    """Called by a plugin once it has changed something: ``await gateway.audit(caller, "prompt.delete", "prompt:hi")``.

    Every entry is a line of the program's log, too (without ``before`` and ``after``), so that none is lost where
    nobody keeps them or the database is away.
    """

    def __init__(self, now: Callable[[], float], log: Any) -> None:
        self._now = now
        self._log = log
        self._sinks: list[AuditSink] = []
        self.entries = 0
        """Entries so far."""
        self.failures = 0
        """Times that a sink could not keep one."""

    def register(self, sink: AuditSink) -> None:
        """Tell ``sink`` of everything from now on; called in a plugin's ``startup``."""
        self._sinks.append(sink)

    async def __call__(
        self,
        caller: GatewayKey | None,
        action: str,
        subject: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        organization: str | None = None,
    ) -> None:
        """Tell that ``caller`` (``helicone_gw.caller``; ``None`` on an open gateway) did ``action`` to ``subject``.

        ``organization`` is whose record it belongs to, the caller's if left out. The values of ``before`` and ``after``
        must be JSON-able and hold no secret. Raises nothing.
        """
        own = "default" if caller is None else caller.organization
        entry = AuditEntry(
            at=self._now(),
            organization=own if organization is None else organization,
            actor_id="" if caller is None else caller.id,
            actor="anybody" if caller is None else caller.name,
            action=action,
            subject=subject,
            before=before,
            after=after,
            address=ADDRESS.get(),
        )
        self.entries += 1
        self._log.info("audit", actor=entry.actor, action=action, subject=subject, organization=entry.organization)
        for sink in self._sinks:
            try:
                await sink.record(entry)
            except Exception as problem:
                self.failures += 1
                self._log.error("an audit entry was not kept", action=action, problem=type(problem).__name__)
