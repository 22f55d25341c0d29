"""The administrators' API, tried with what Schemathesis makes of its OpenAPI document, good and bad."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, Phase, given, settings

from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_security.admin.pages import document, operations
from tests.plugins.security.people import KEYS, security
from tests.plugins.security.test_identity_admin import READER, ROOT, everything, planted

SCHEMA = schemathesis.openapi.from_dict(document())
EXAMPLES = [3, pytest.param(100, marks=pytest.mark.full)]
"""Requests for every operation."""


class Thread:
    """A gateway in a thread of its own, so that a property test need not know of event loops."""

    def __init__(self, directory: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._stack = AsyncExitStack()
        plugin = security(keys=KEYS, encryption_keys=[Fernet.generate_key().decode()])
        self.gateway: RunningGateway = self.run(self._stack.enter_async_context(GatewayFactory(directory)([plugin])))

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self) -> None:
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def thread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thread]:
    thread = Thread(tmp_path_factory.mktemp("gateway"))
    try:
        yield thread
    finally:
        thread.close()


def tried(thread: Thread, headers: dict[str, str], examples: int) -> list[tuple[str, str, int]]:
    """Every operation with what Schemathesis makes of its description, good and bad; and how each was answered."""
    seen: list[tuple[str, str, int]] = []
    for found in SCHEMA.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def once(case: Any) -> None:
            sent = case.as_transport_kwargs(base_url="http://127.0.0.1:8787")
            request = httpx.Request(sent["method"], sent["url"], params=sent.get("params"), json=sent.get("json"))
            target = request.url.raw_path.decode()
            reply = thread.run(
                thread.gateway.request(sent["method"], target, content=request.content or None, headers=headers)
            )
            seen.append((case.method, case.path, reply.status))
            assert reply.status < 500, (case.method, target, reply.body)

        once()
    return seen


@pytest.mark.parametrize("examples", EXAMPLES)
def test_a_viewers_key_changes_nothing_whatever_it_sends(thread: Thread, examples: int) -> None:
    if not thread.run(everything(thread.gateway))["gateway_user"]:
        thread.run(planted(thread.gateway))
    before = thread.run(everything(thread.gateway))
    answers = tried(thread, READER, examples)
    assert thread.run(everything(thread.gateway)) == before
    assert len({(method, path) for method, path, _ in answers}) == len(operations())
    let_in = {(method, path) for method, path, status in answers if status == 200}
    assert let_in <= {("GET", "/v1/organization")}


@pytest.mark.parametrize("examples", EXAMPLES[1:])
def test_whatever_an_administrator_sends_is_no_fault(thread: Thread, examples: int) -> None:
    before = thread.run(everything(thread.gateway))
    tried(thread, ROOT, examples)
    assert thread.run(everything(thread.gateway)) != before, "so that the test above could fail"
