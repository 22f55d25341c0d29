"""Audit: what is told of a change, to whom, and what happens when nobody can keep it."""

from __future__ import annotations

import pytest
import structlog
from structlog.testing import capture_logs

from helicone_gw import Audit, AuditEntry, GatewayKey
from helicone_gw.audit import ADDRESS

ANN = GatewayKey("user:1", "ann@example.com", "ann@example.com", organization="acme", role="admin")


class Kept:
    def __init__(self, problem: Exception | None = None) -> None:
        self.entries: list[AuditEntry] = []
        self._problem = problem

    async def record(self, entry: AuditEntry) -> None:
        if self._problem is not None:
            raise self._problem
        self.entries.append(entry)


@pytest.fixture
def audit() -> Audit:
    return Audit(lambda: 1000.0, structlog.get_logger())


async def test_it_says_who_did_what_when_and_from_where(audit: Audit) -> None:
    kept = Kept()
    audit.register(kept)
    ADDRESS.set("203.0.113.9")
    await audit(ANN, "key.revoke", "key:7", before={"name": "ci"}, after={"name": "ci", "revoked": True})
    (entry,) = kept.entries
    assert entry == AuditEntry(
        at=1000.0,
        organization="acme",
        actor_id="user:1",
        actor="ann@example.com",
        action="key.revoke",
        subject="key:7",
        before={"name": "ci"},
        after={"name": "ci", "revoked": True},
        address="203.0.113.9",
    )


async def test_on_an_open_gateway_it_was_anybody(audit: Audit) -> None:
    kept = Kept()
    audit.register(kept)
    await audit(None, "key.create", "key:7")
    assert (kept.entries[0].actor, kept.entries[0].actor_id, kept.entries[0].organization) == ("anybody", "", "default")
    await audit(ANN, "organization.create", "organization:new", organization="new")
    assert kept.entries[1].organization == "new"


async def test_every_sink_hears_of_it_although_another_fails_and_the_log_does_in_any_case(audit: Audit) -> None:
    kept = Kept()
    audit.register(Kept(OSError("postgres://user:secret@host")))
    audit.register(kept)
    with capture_logs() as lines:
        await audit(ANN, "key.create", "key:7", after={"name": "private"})
    assert len(kept.entries) == 1
    assert (audit.entries, audit.failures) == (1, 1)
    told = next(line for line in lines if line["event"] == "audit")
    assert (told["actor"], told["action"], told["subject"]) == ("ann@example.com", "key.create", "key:7")
    assert "private" not in str(lines)
    assert "secret" not in str(lines)
