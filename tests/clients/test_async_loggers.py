"""Helicone's own loggers, pointed here: what they tell of calls that went past the gateway becomes rows like others."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from tests.clients.async_loggers.suite import HERE, NEW, NODE, OLD, node, python, run
from tests.clients.gateways import ALICE, Ports, Running
from tests.clients.litellm_suite.suite import IndexUnreachable, prepare

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

REQUEST: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}
SAME = ("model", "provider", "prompt_tokens", "completion_tokens", "cost_nano_usd", "outcome", "status")
"""What a stream's row has in common with that of the same answer in one piece."""


@pytest.fixture
def given(keyed_gateway: Running, provider: ScriptedProvider, ports: Ports) -> dict[str, Any]:
    """What a client is told: the gateway, its key, where the provider is, what to ask."""
    provider.default = openai_chat.answer("Hello!")
    return {
        "gateway": keyed_gateway.url,
        "key": ALICE,
        "provider": f"http://127.0.0.1:{ports.provider}",
        "request": REQUEST,
    }


def installed(make: Callable[[], Path]) -> Path:
    """Where a client is installed; the test is skipped where it is not and cannot be."""
    try:
        return make()
    except IndexUnreachable:
        pytest.skip("the logger is not installed under .cache yet, and no package index can be reached")


def same(unary: dict[str, Any], streamed: dict[str, Any]) -> None:
    """The two rows say the same; both have what a proxied one has."""
    assert (unary["stream"], streamed["stream"]) == (False, True)
    for name in SAME:
        assert unary[name] == streamed[name], name
    assert (unary["prompt_tokens"], unary["outcome"], unary["status"]) == (12, "ok", 200)
    assert unary["cost_nano_usd"] > 0


async def shown(running: Running, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """``rows`` (of one user) as the REST API shows them, in the same order; what it says is what they hold."""
    body = {"filter": {"request_response_rmt": {"user_id": {"equals": rows[0]["user_id"]}}}, "limit": 100}
    async with httpx.AsyncClient(verify=False) as client:
        url = f"{running.url}/v1/request/query-clickhouse"
        answer = await client.post(url, json=body, headers={"Authorization": f"Bearer {ALICE}"})
    assert answer.status_code == 200, answer.text
    found = {one["request_id"]: one for one in answer.json()["data"]}
    assert set(found) == {row["request_id"] for row in rows}
    for row in rows:
        one = found[row["request_id"]]
        assert one["provider"].lower() == row["provider"]
        assert (one["response_status"], one["delay_ms"]) == (row["status"], row["latency"])
        assert (one["prompt_tokens"], one["completion_tokens"]) == (row["prompt_tokens"], row["completion_tokens"])
        assert one["request_properties"] == row["properties"]
    return [found[row["request_id"]] for row in rows]


async def test_helicone_helpers(given: dict[str, Any], keyed_gateway: Running, tmp_path: Path) -> None:
    command = [installed(partial(python, NEW)), HERE / "manual_client.py"]
    printed = await run(command, tmp_path, given)
    assert "Error" not in printed
    rows = {row["session_path"]: row for row in await keyed_gateway.rows("manual", 4)}
    assert sorted(rows) == ["/search", "/stream", "/tool", "/unary"]
    assert {(row["session_id"], row["session_name"], row["key_name"]) for row in rows.values()} == {
        ("trip-1", "Trip", "alice")
    }
    assert rows["/unary"]["provider"] == "openai"
    same({**rows["/unary"], "provider": None}, {**rows["/stream"], "provider": None})
    assert rows["/stream"]["time_to_first_token"] is not None
    assert rows["/stream"]["properties"]["Tier"] == "gold"
    assert (rows["/tool"]["model"], rows["/search"]["model"]) == ("tool:weather", "vector_db")
    await shown(keyed_gateway, list(rows.values()))


async def test_helicone_async(given: dict[str, Any], keyed_gateway: Running, tmp_path: Path) -> None:
    await run([installed(partial(python, NEW)), HERE / "tracing_client.py"], tmp_path, given)
    rows = await keyed_gateway.rows("traced", 3)
    (workflow,) = [row for row in rows if row["operation"] == "span"]
    streamed, unary = [row for row in rows if row["operation"] == "chat"]
    assert (unary["prompt_tokens"], unary["completion_tokens"], unary["status"]) == (12, 7, 200)
    assert unary["cost_nano_usd"] > 0
    # Its instrumentation leaves out the tokens of streams: they are unknown, and no zero.
    assert (streamed["stream"], streamed["prompt_tokens"], streamed["cost_nano_usd"]) == (True, None, None)
    assert streamed["time_to_first_token"] is not None
    assert {row["session_id"] for row in rows} == {workflow["session_id"]}
    assert (workflow["session_path"], unary["session_path"]) == ("/trip", "/trip/openai.chat")
    assert {row["session_name"] for row in rows} == {"trip"}
    assert unary["properties"]["Tier"] == "gold"
    await shown(keyed_gateway, rows)


async def test_litellms_callback(given: dict[str, Any], keyed_gateway: Running, tmp_path: Path) -> None:
    await run([installed(prepare), HERE / "callback_client.py"], tmp_path, given)
    (row,) = await keyed_gateway.rows("called-back")
    assert (row["model"], row["provider"], row["prompt_tokens"]) == ("gpt-4o-mini-2024-07-18", "openai", 12)
    assert (row["outcome"], row["key_name"]) == ("ok", "alice")
    assert row["cost_nano_usd"] > 0
    assert (row["session_id"], row["session_path"], row["properties"]["Tier"]) == ("trip-1", "/plan", "gold")
    await shown(keyed_gateway, [row])


async def test_the_old_packages_asynchronous_logger(
    given: dict[str, Any], keyed_gateway: Running, tmp_path: Path
) -> None:
    command = [installed(partial(python, OLD)), HERE / "old_client.py"]
    await run(command, tmp_path, {**given, "way": "async"})
    streamed, unary = sorted(await keyed_gateway.rows("old-async", 2), key=lambda row: row["received_at"])[::-1]
    same(unary, streamed)
    assert unary["properties"]["Tier"] == "gold"
    await shown(keyed_gateway, [unary, streamed])


async def test_the_old_packages_proxy_and_its_feedback(
    given: dict[str, Any], keyed_gateway: Running, tmp_path: Path
) -> None:
    command = [installed(partial(python, OLD)), HERE / "old_client.py"]
    printed = json.loads((await run(command, tmp_path, {**given, "way": "proxy"})).splitlines()[-1])
    (row,) = await keyed_gateway.rows("old-proxy")
    assert (printed["id"], printed["status"]) == (row["request_id"], "success")
    assert row["properties"]["Tier"] == "gold"
    assert printed["said"]["helicone-id"] == row["request_id"]
    await shown(keyed_gateway, [row])


async def test_helicones_helpers_for_node(given: dict[str, Any], keyed_gateway: Running, tmp_path: Path) -> None:
    home = installed(node)
    (home / "client.mjs").write_bytes((HERE / "client.mjs").read_bytes())
    await run([NODE, home / "client.mjs", "helpers"], tmp_path, given)
    rows = {row["session_path"]: row for row in await keyed_gateway.rows("node", 4)}
    assert sorted(rows) == ["/stream", "/tool", "/unary", "/wrong"]
    same({**rows["/unary"], "provider": None}, {**rows["/stream"], "provider": None})
    assert rows["/stream"]["time_to_first_token"] is not None
    assert (rows["/tool"]["model"], rows["/wrong"]["status"]) == ("tool:weather", 500)
    assert rows["/wrong"]["error_message"].startswith("Error: no answer")
    assert rows["/unary"]["properties"]["Tier"] == "gold"
    await shown(keyed_gateway, list(rows.values()))


async def test_helicones_traces_and_proxy_for_node(
    given: dict[str, Any], keyed_gateway: Running, tmp_path: Path
) -> None:
    home = installed(node)
    (home / "client.mjs").write_bytes((HERE / "client.mjs").read_bytes())
    await run([NODE, home / "client.mjs", "helicone"], tmp_path, given)
    (proxied,) = await keyed_gateway.rows("node-proxy")
    # node-fetch writes names in lower case.
    assert (proxied["properties"]["tier"], proxied["status"]) == ("gold", 200)
    (rated,) = await shown(keyed_gateway, [proxied])
    assert rated["feedback_rating"] is True
    (traced,) = await keyed_gateway.rows("node-traced")
    await shown(keyed_gateway, [traced])
    assert (traced["model"], traced["prompt_tokens"], traced["cost_nano_usd"]) == (
        proxied["model"],
        proxied["prompt_tokens"],
        proxied["cost_nano_usd"],
    )
    assert traced["session_id"] is not None
