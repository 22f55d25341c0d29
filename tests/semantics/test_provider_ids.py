"""The provider's own id of a request, in the answer's headers and on the attempt."""

from __future__ import annotations

import pytest
from onion import A, B, exchange, gateway, handle, plugin, router

from helicone_gw import Fallback, Response
from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import openai_chat

BACK = plugin("fallbacks", on_error=lambda exchange, error: Fallback())


@pytest.mark.parametrize("name", ["x-request-id", "request-id", "x-amzn-requestid", "apim-request-id"])
@pytest.mark.parametrize("stream", [False, True])
async def test_it_is_told_whatever_header_it_came_in(name: str, stream: bool) -> None:
    script = (openai_chat.stream if stream else openai_chat.reply)("Hi", headers={"x-request-id": ""})
    one = exchange(stream=stream)
    sink = await handle(gateway([], ScriptedProvider(script.with_headers({name: "req_7"}))), one)
    assert sink.headers.get("helicone-provider-req-id") == "req_7"
    assert sink.headers.get(name) == "req_7"
    assert one.attempts[0].provider_request_id == "req_7"


async def test_it_is_that_of_the_attempt_that_answered() -> None:
    scripts = [
        openai_chat.error(500).with_headers({"x-request-id": "req_1"}),
        openai_chat.reply("Hi").with_headers({"x-request-id": "req_2"}),
    ]
    one = exchange()
    sink = await handle(gateway([router(A, B), BACK], ScriptedProvider(*scripts)), one)
    assert sink.headers.get("helicone-provider-req-id") == "req_2"
    assert [attempt.provider_request_id for attempt in one.attempts] == ["req_1", "req_2"]


async def test_an_error_has_that_of_the_attempt_that_failed_last() -> None:
    scripts = [openai_chat.error(500).with_headers({"x-request-id": f"req_{number}"}) for number in (1, 2)]
    sink = await handle(gateway([router(A, B), BACK], ScriptedProvider(*scripts)), exchange())
    assert (sink.status, sink.headers.get("helicone-provider-req-id")) == (500, "req_2")


async def test_an_answer_of_a_plugins_own_has_none() -> None:
    hit = plugin("cache", pre_request=lambda exchange: Response.of_json({}))
    sink = await handle(gateway([hit], ScriptedProvider()), exchange())
    assert sink.headers.get("helicone-provider-req-id") is None
