"""What pages send to providers for whoever looks: who may, what goes on, what comes back, what is told of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from helicone_gw import AuditEntry, Gateway, GatewayKey, Plugin, hookimpl
from helicone_gw.access import Permits
from helicone_gw.testing import GatewayFactory, RunningGateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMBER = GatewayKey("user:1", "ann", "ann", organization="one", permits=Permits(models=("demo",)))
VIEWER = GatewayKey("user:2", "bob", "bob", organization="one", role="viewer")
READER = GatewayKey("k-3", "reader", "ann", role="admin", scope="read")
CHAT = "/v1/chat/completions"
BODY: Mapping[str, Any] = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}


class Keeper(Plugin):
    """Has keys, and keeps what is told for the audit log."""

    configured = True
    entries: list[AuditEntry]

    async def lookup(self, secret: str) -> GatewayKey | None:
        return None

    async def knows(self, secret: str) -> bool:
        return False

    async def record(self, entry: AuditEntry) -> None:
        Keeper.entries.append(entry)

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        Keeper.entries = []
        gateway.keys.register(self)
        gateway.audit.register(self)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    factory = GatewayFactory(tmp_path_factory.mktemp("asked"))
    config: dict[str, Any] = {"providers": {"demo": {}}, "pipeline": {"timings": "always"}}
    async with factory(["keeper", "logging", "dashboard"], classes={"keeper": Keeper}, config=config) as gateway:
        yield gateway


async def ask(
    running: RunningGateway,
    caller: GatewayKey | None,
    to: str = CHAT,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> httpx.Response:
    body = msgspec.json.encode({**BODY, **more})
    given = {"Content-Type": "application/json", **(headers or {})}
    return await running.gateway.pages.ask(
        "POST", "/dashboard/ask", caller=caller, params={"to": to}, content=body, headers=given
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_a_member_asks_without_a_key_and_the_audit_log_knows(running: RunningGateway, stream: bool) -> None:
    headers = {"Helicone-Property-Replay-Of": "r-1", "Helicone-Request-Id": "8a6e0804-2bd0-4672-b79d-d97027f9071a"}
    answer = await ask(running, MEMBER, headers=headers, stream=stream)
    assert answer.status_code == 200, answer.text
    assert "Hello from demo" in answer.text or "demo" in answer.text
    kind = "text/event-stream" if stream else "application/json"
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    exchange = running.exchanges[-1]
    assert (exchange.key, exchange.organization) == (MEMBER, "one")
    assert exchange.original.helicone.properties["Replay-Of"] == "r-1"
    told = Keeper.entries[-1]
    assert (told.actor, told.action, told.subject) == (
        "ann",
        "provider.ask",
        f"request:{answer.headers['helicone-id']}",
    )
    assert told.after == {"path": CHAT, "replay_of": "r-1"}


async def test_only_members_ask_and_within_what_they_may_use(running: RunningGateway) -> None:
    before, told = len(running.exchanges), len(Keeper.entries)
    assert (await ask(running, VIEWER)).status_code == 403
    assert (await ask(running, READER)).status_code == 403
    assert (len(running.exchanges), len(Keeper.entries)) == (before, told)
    refused = await ask(running, MEMBER, model="gpt-4o")
    assert refused.status_code == 403
    assert "may not use" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "to", ["", "v1/chat", "http://evil.example/", "/v1/chat completions", "/v1\r\nX: y", "/" + "a" * 3000, "/v1#x"]
)
async def test_what_is_no_address_is_refused(running: RunningGateway, to: str) -> None:
    answer = await ask(running, MEMBER, to)
    assert answer.status_code == 400
    assert "address" in answer.json()["error"]["message"]


@pytest.mark.parametrize("to", ["/v1/request/count/query", "/dashboard/keys", "/dashboard/ask?to=/v1/x", "/healthz"])
async def test_no_page_of_the_gateway_is_reached_that_way(running: RunningGateway, to: str) -> None:
    assert (await ask(running, MEMBER, to)).status_code == 404


async def test_a_key_that_is_bound_to_an_origin_asks_from_there_alone(running: RunningGateway) -> None:
    bound = replace(MEMBER, permits=Permits(origins=("https://app.example.com",)))
    assert (await ask(running, bound, headers={"Origin": "https://app.example.com"})).status_code == 200
    assert (await ask(running, bound, headers={"Origin": "https://evil.example"})).status_code == 403


async def test_nothing_of_the_browser_goes_on(running: RunningGateway) -> None:
    headers = {"Cookie": "session=x", "Authorization": "Bearer sk-mine", "X-Own": "1", "Helicone-Auth": "Bearer other"}
    answer = await ask(running, MEMBER, headers=headers)
    assert answer.status_code == 200
    exchange = running.exchanges[-1]
    assert exchange.credential is None
    sent = {name for name, _ in exchange.original.headers}
    assert not sent & {"cookie", "authorization", "x-own", "x-csrf-token"}
    assert not any("other" in secret for secret in exchange.secrets)


async def test_an_open_gateway_asks_for_everybody(gateway: GatewayFactory) -> None:
    async with gateway(["logging", "dashboard"], config={"providers": {"demo": {}}}) as running:
        answer = await ask(running, None, headers={"Origin": "http://127.0.0.1:8787"})
        assert answer.status_code == 200, answer.text
        assert running.exchanges[-1].key is None


async def test_the_page_of_the_request_says_what_each_plugin_took(running: RunningGateway) -> None:
    answer = await ask(running, MEMBER)
    path = f"/dashboard/requests/{answer.headers['helicone-id']}"
    for _ in range(100):
        page = await running.gateway.pages.ask("GET", path, caller=MEMBER)
        if page.status_code == 200:
            break
        await running.gateway.clock.sleep(0.05)
    took = page.text.partition("What each plugin took")[2].partition("All that plugins noted")[0]
    assert re.search(r"logging <span class=\"badge\">\w+", took)
    assert "pipeline.hooks" not in page.text, "the note itself is nothing to read"


async def test_the_page_of_plugins_says_what_a_request_takes_in_each(running: RunningGateway) -> None:
    await ask(running, MEMBER)
    admin = replace(MEMBER, organization="default", role="admin")
    page = (await running.gateway.pages.ask("GET", "/dashboard/plugins", caller=admin)).text
    assert re.search(r'data-plugin="logging">\d+\.\d\d ms<', page)
    assert re.search(r"the mean of the \d+ requests of this worker that were timed|those of the one request", page)
    own = (await running.gateway.pages.ask("GET", "/dashboard/plugins/logging", caller=admin)).text
    assert re.search(r"Time of a request</dt><dd>before_end: \d+\.\d{3} ms", own)
