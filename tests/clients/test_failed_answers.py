"""Errors of status 200 and streams that were left: what SDKs make of them, and what the log says."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from helicone_gw.testing import ScriptedProvider, of_json
from helicone_gw.testing.dialects import openai_chat
from tests.clients.gateways import Connect, Flavour, Running

CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}
TEXT = tuple(f"word{number} " for number in range(12))


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_of_status_200_is_the_sdks_exception(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider, flavour: Flavour, stream: bool
) -> None:
    wrong = {"error": {"message": "Slow down.", "code": 429}}
    provider.enqueue(of_json(wrong).with_headers({"x-request-id": "req_9"}))
    client = connect("openai", f"{open_gateway.url}/v1", flavour)
    with pytest.raises(openai.RateLimitError, match="Slow down") as caught:
        await client.call(client.sdk.chat.completions.create, **CHAT, stream=stream)
    assert caught.value.response.json() == wrong
    assert caught.value.response.headers["helicone-provider-req-id"] == "req_9"


async def test_the_row_of_a_stream_that_was_left_has_what_came(
    connect: Connect, open_gateway: Running, provider: ScriptedProvider
) -> None:
    client = connect("openai", f"{open_gateway.url}/v1", default_headers={"Helicone-User-Id": "left"}).sdk
    provider.enqueue(openai_chat.stream(TEXT).cut(events=len(TEXT), how="hang"))
    stream = await client.chat.completions.create(**CHAT, stream=True)
    for _ in TEXT[:-1]:
        await anext(stream)
    await stream.close()
    await provider.closed_by_client.wait()
    (row,) = await open_gateway.rows("left")
    assert row["outcome"] == "client_disconnected"
    assert row["prompt_tokens"] > 0
    assert row["completion_tokens"] == pytest.approx((len(TEXT) - 1) * len(TEXT[0]) / 4.2, rel=0.3)
    assert row["cost_nano_usd"] > 0
    assert row["annotations"]["usage.estimated"] == [1]
