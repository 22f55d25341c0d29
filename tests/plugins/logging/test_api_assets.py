"""Assets: images of a request are found in its bodies, whatever the dialect, and nothing else is served as one."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helicone_gw.exchange import Exchange
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_logging.api.assets import MAX_ASSETS, images
from helicone_gw_logging.query.log import LoggedBody
from tests.plugins.logging.asking import log_all
from tests.plugins.logging.calling import ask

Build = Callable[..., Exchange]
PNG, GIF = b"\x89PNG\r\n\x1a\n one", b"GIF89a two"


def written(data: bytes) -> str:
    return base64.b64encode(data).decode()


def body(value: Any) -> LoggedBody:
    return LoggedBody(msgspec.json.encode(value), "whole", "application/json")


@pytest.mark.parametrize(
    "value",
    [
        {"content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{written(PNG)}"}}]},
        {"input": [{"type": "input_image", "image_url": f"data:image/png;base64,{written(PNG)}"}]},
        {"source": {"type": "base64", "media_type": "image/png", "data": written(PNG)}},
        {"parts": [{"inlineData": {"mimeType": "image/png", "data": written(PNG)}}]},
        {"data": [{"b64_json": written(PNG)}]},
        {"output": [{"type": "image_generation_call", "result": written(PNG)}]},
    ],
    ids=["chat", "responses", "anthropic", "gemini", "images", "tool"],
)
def test_an_image_of_every_dialect(value: Any) -> None:
    assert images(body(value), None) == images(None, body(value)) == [(PNG, "image/png")]


def test_they_are_in_the_order_in_which_they_were_sent() -> None:
    asked = {"data": written(PNG), "more": [{"data": written(GIF)}, {"url": "https://example.com/a.png"}]}
    found = images(body(asked), body({"b64_json": written(PNG)}))
    assert [kind for _, kind in found] == ["image/png", "image/gif", "image/png"]
    assert len(images(body([{"data": written(PNG)}] * (MAX_ASSETS + 5)), None)) == MAX_ASSETS


@pytest.mark.parametrize(
    "data",
    [
        written(b"<svg onload='x'/>"),
        written(b"<html>"),
        "!!!",
        "",
        "é",
        f"data:image/svg+xml;base64,{written(b'<svg/>')}",
    ],
)
def test_what_a_browser_would_run_is_no_image(data: str) -> None:
    assert images(body({"data": data, "url": data}), None) == []


def test_what_is_not_json_has_none() -> None:
    assert images(LoggedBody(b'{"data": "', "truncated", None), LoggedBody(None, "omitted", None)) == []


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with GatewayFactory(tmp_path)(["logging"]) as running:
        yield running


async def test_an_image_over_http(running: RunningGateway, exchange: Build) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{written(PNG)}"}}
    asked = msgspec.json.encode({"messages": [{"role": "user", "content": [image]}]})
    one = exchange(body=asked)
    other = exchange(body=asked, organization="acme")
    await log_all(running.gateway.database, [one, other])
    path = f"/v1/request/{one.id}/assets/0"
    url = (await ask(running, "POST", path))["assetUrl"]
    assert url.endswith(path)
    reply = await running.request("GET", path)
    assert (reply.status, reply.body, reply.headers.get("content-type")) == (200, PNG, "image/png")
    assert reply.headers.get("x-content-type-options") == "nosniff"
    for missing in (f"/v1/request/{one.id}/assets/1", f"/v1/request/{other.id}/assets/0", "/v1/request/x/assets/0"):
        for method in ("GET", "POST"):
            assert (await running.request(method, missing)).status == 404
    for odd in ("-1", "x", "%D9%A3", "00000"):
        assert (await running.request("GET", f"/v1/request/{one.id}/assets/{odd}")).status == 404
