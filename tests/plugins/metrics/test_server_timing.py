"""Server-Timing: for those who ask, for all, or for nobody."""

from __future__ import annotations

import pytest

from helicone_gw.testing import GatewayFactory
from tests.plugins.metrics.reading import config

pytestmark = pytest.mark.virtual_time
ASKED = {"Helicone-Server-Timing": "true"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("setting", "headers", "told"),
    [("asked", ASKED, True), ("asked", {}, False), ("always", {}, True), ("never", ASKED, False)],
)
async def test_who_is_told(
    gateway: GatewayFactory, setting: str, headers: dict[str, str], told: bool, stream: bool
) -> None:
    async with gateway([*config(server_timing=setting), "router"]) as running:
        reply = await running.chat(stream=stream, headers=headers)
    value = reply.headers.get("server-timing")
    assert (value is not None) == told
    if value is not None:
        assert {entry.partition(";")[0] for entry in value.split(", ")} >= {"router", "upstream", "total"}


async def test_the_header_goes_to_no_provider(gateway: GatewayFactory) -> None:
    async with gateway(["metrics"]) as running:
        await running.chat(headers=ASKED)
        (request,) = running.provider.requests
    assert "helicone-server-timing" not in request.headers
