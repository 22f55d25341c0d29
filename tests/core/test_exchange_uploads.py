"""Uploads on their way: what a plugin may see of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from helicone_gw import Exchange, NotFound, Plugin, hookimpl
from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.script import of_json

BODY = b"--x\r\n\r\nsome text and more of it\r\n--x--\r\n"


class Looker(Plugin):
    """Looks for a word in what is uploaded, and refuses it."""

    seen: bytes = b""

    @hookimpl
    async def route_model(self, exchange: Exchange) -> None:
        exchange.through_upload(self._look)

    async def _look(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            self.seen += piece
            if b"secret" in piece:
                raise NotFound("Not this.")
            yield piece


@pytest.mark.parametrize(("body", "status"), [(BODY, 200), (BODY.replace(b"more", b"secret"), 404)])
async def test_an_upload_passes_through_a_plugin(gateway: GatewayFactory, body: bytes, status: int) -> None:
    provider = ScriptedProvider(default=of_json({"id": "file-1"}))
    async with gateway(["looker"], provider=provider, classes={"looker": Looker}) as running:
        kind = {"content-type": "multipart/form-data; boundary=x"}
        assert (await running.request("POST", "/v1/files", content=body, headers=kind)).status == status
        looker = running.gateway.plugins[0]
        assert isinstance(looker, Looker)
        assert looker.seen == body
        if status == 200:
            assert provider.requests[-1].body == body


async def test_without_an_upload_nothing_passes(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=of_json({"data": []}))
    async with gateway(["looker"], provider=provider, classes={"looker": Looker}) as running:
        assert (await running.request("GET", "/v1/files")).status == 200
        looker = running.gateway.plugins[0]
        assert isinstance(looker, Looker)
        assert looker.seen == b""
