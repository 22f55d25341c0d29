"""Pages are told of new requests by server-sent events, once of each, and never for longer than they should be."""

from __future__ import annotations

import json
import re

import pytest

from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw.testing.client import LiveReply
from helicone_gw_dashboard import live

PLUGINS = ["logging", "dashboard"]


async def told(following: LiveReply, name: str = "rows") -> list[str]:
    """The ids of the rows in the next event of that name; each is one piece of the stream."""
    async for piece in following:
        if piece.startswith(f"event: {name}\nid: ".encode()):
            data = json.loads(piece.decode().partition("\ndata: ")[2])
            return re.findall(r'data-row="([^"]+)"', data.get("html", ""))
    raise AssertionError("the stream ended")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SECONDS", 0.02)


async def test_every_request_is_told_of_once(gateway: GatewayFactory) -> None:
    async with gateway(PLUGINS) as running:
        async with running.stream("GET", "/dashboard/requests/live") as following:
            await following.head()
            assert following.headers.get("content-type") == "text/event-stream"
            seen: list[str] = []
            for number in range(3):
                await running.chat(f"Hello {number}")
                seen += await told(following)
            assert len(seen) == len(set(seen)) == 3
        await gone(running)


async def test_who_comes_again_is_told_of_what_happened_meanwhile(gateway: GatewayFactory) -> None:
    async with gateway(PLUGINS) as running:
        async with running.stream("GET", "/dashboard/requests/live") as following:
            await following.head()
            first = await anext(following)
        last = first.decode().partition("id: ")[2].strip()
        await gone(running)
        await running.chat("Hello")
        assert len(await _listed(running)) == 1
        headers = {"Last-Event-ID": last}
        async with running.stream("GET", "/dashboard/requests/live", headers=headers) as following:
            await following.head()
            assert await told(following) == await _listed(running)
        for other in ("", "x", "1", "9" * 14, "9" * 200, "²"):
            headers = {"Last-Event-ID": other.encode().decode("latin-1")}
            async with running.stream("GET", "/dashboard/requests/live", headers=headers) as following:
                await following.head()
                assert following.status == 200
            await gone(running)


async def _listed(running: RunningGateway) -> list[str]:
    for _ in range(100):
        page = (await running.request("GET", "/dashboard/requests")).body.decode()
        if found := re.findall(r'data-row="([^"]+)"', page):
            return found
        await running.gateway.clock.sleep(0.02)
    raise AssertionError("it was not logged")


async def test_only_what_the_filters_match_is_told_of(gateway: GatewayFactory) -> None:
    node = '{"request_response_rmt":{"user_id":{"equals":"ann"}}}'
    async with gateway(PLUGINS) as running:
        async with running.stream("GET", f"/dashboard/requests/live?filter={node}") as following:
            await following.head()
            await running.chat("Hello", headers={"Helicone-User-Id": "bob"})
            await running.chat("Hello", headers={"Helicone-User-Id": "ann"})
            (one,) = await told(following)
        found = await running.request("GET", f"/v1/request/{one}")
        assert found.json()["data"]["request_user_id"] == "ann"
        await gone(running)


async def test_no_more_pages_are_told_than_may_be(gateway: GatewayFactory) -> None:
    async with gateway(["logging", {"dashboard": {"live_streams": 1}}]) as running:
        async with running.stream("GET", "/dashboard/requests/live") as following:
            await following.head()
            await anext(following)
            refused = await running.request("GET", "/dashboard/requests/live")
            assert refused.status == 503
        await gone(running)
        async with running.stream("GET", "/dashboard/requests/live") as following:
            await following.head()
            assert following.status == 200


async def test_it_ends_with_its_time_and_with_the_server(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway(PLUGINS) as running:
        async with running.stream("GET", "/dashboard/requests/live") as following:
            await following.head()
            running.gateway.pages.closing = True
            await following.read()
        running.gateway.pages.closing = False
        monkeypatch.setattr(live, "LIFETIME", 0.05)
        reply = await running.request("GET", "/dashboard/requests/live")
        assert reply.body.startswith(b"retry: 1000")


async def test_a_log_that_is_away_is_told_and_the_stream_goes_on(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway(PLUGINS) as running, running.stream("GET", "/dashboard/requests/live") as following:
        await following.head()
        with monkeypatch.context() as away:
            away.setattr("helicone_gw_dashboard.live._ended", _away)
            await told(following, "trouble")
        await running.chat("Hello")
        assert len(await told(following)) == 1


async def _away(*_: object) -> None:
    raise live.Trouble(503, "The log cannot be reached at the moment.")


async def gone(running: RunningGateway) -> None:
    """Wait until the stream that was left is ended."""
    from helicone_gw_dashboard.plugin import DashboardPlugin

    (plugin,) = (each for each in running.gateway.plugins if isinstance(each, DashboardPlugin))
    for _ in range(200):
        if plugin.followers == 0:
            return
        await running.gateway.clock.sleep(0.01)
    raise AssertionError("a stream that was left goes on")
