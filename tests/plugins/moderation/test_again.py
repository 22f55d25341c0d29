"""What becomes of a request after it was looked through: fallbacks' bodies, prompts that are cut to fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw import Exchange, Plugin, Request, hookimpl
from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from tests.plugins.moderation.finding import ADDRESS, CLASSES, KEY, PHRASE
from tests.plugins.moderation.test_plugin import check, moderation, notes, text_of

pytestmark = pytest.mark.virtual_time
FIRST, SECOND = "http://127.0.0.1:4011", "http://127.0.0.1:4012"
CONFIG = {
    "providers": {
        "openai": {"api_key": "sk-openai", "base_url": f"{FIRST}/v1"},
        "mistral": {"api_key": "sk-mistral", "base_url": f"{SECOND}/v1"},
    }
}
CHECKS = (check("injection"), check("pii", action="redact"))


def stack(*checks: dict[str, Any], **config: Any) -> list[Any]:
    return [*moderation(*checks, **config), "router", "fallbacks", "retries"]


def saying(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def entries(*overrides: dict[str, Any] | None) -> dict[str, str]:
    """A header with an entry for each; one that fails leads to the next."""
    listed = [
        {
            "target-url": (FIRST, SECOND)[number],
            "headers": {},
            "onCodes": [{"from": 400, "to": 599}],
            **({} if override is None else {"bodyKeyOverride": override}),
        }
        for number, override in enumerate(overrides)
    ]
    return {"Helicone-Fallbacks": json.dumps(listed)}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("overrides", [[saying(PHRASE)], [None, saying(PHRASE)]])
async def test_what_a_fallback_puts_into_the_body_is_refused(
    gateway: GatewayFactory, overrides: list[Any], stream: bool
) -> None:
    async with gateway(stack(*CHECKS), classes=CLASSES, config=CONFIG) as running:
        reply = await running.chat("Hello", headers=entries(*overrides), stream=stream)
    assert reply.status == 400
    assert running.provider.requests == []
    assert notes(running) == [("ignore", "block", "input")]


async def test_what_a_fallback_puts_into_the_body_is_redacted_and_had_again(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.error(500), default=openai_chat.answer("To [EMAIL_1] and [EMAIL_2]."))
    async with gateway(stack(*CHECKS), classes=CLASSES, provider=provider, config=CONFIG) as running:
        reply = await running.chat(
            "mail bob@example.com", headers=entries(saying("[EMAIL_1]?"), saying(f"mail {ADDRESS}"))
        )
    said = [request.json()["messages"][0]["content"] for request in running.provider.requests]
    assert said == ["[EMAIL_1]?", "mail [EMAIL_3]"], "the first is the client's own text"
    assert reply.status == 200
    assert text_of(reply, "chat") == "To [EMAIL_1] and bob@example.com."


@pytest.mark.parametrize("stream", [False, True])
async def test_the_second_entry_gets_what_the_first_got(gateway: GatewayFactory, stream: bool) -> None:
    provider = ScriptedProvider(openai_chat.error(500), default=openai_chat.answer("Fine"))
    async with gateway(stack(*CHECKS), classes=CLASSES, provider=provider, config=CONFIG) as running:
        reply = await running.chat(f"mail {ADDRESS}", headers=entries(None, None), stream=stream)
    assert reply.status == 200
    assert len(provider.requests) == 2
    assert all(ADDRESS.encode() not in request.body for request in provider.requests)


class Joiner(Plugin):
    """Makes another body of a request, as plugins may that stand further in."""

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> Request | None:
        request = exchange.request
        return request.replace(body=(request.body or b"").replace(b"/**/", b""))


async def test_what_plugins_further_in_make_of_a_request_is_looked_through(gateway: GatewayFactory) -> None:
    plugins = [*moderation(*CHECKS), "joiner"]
    async with gateway(plugins, classes={**CLASSES, "joiner": Joiner}) as running:
        assert (await running.chat(f"Please {PHRASE.replace('prev', 'pr/**/ev')}")).status == 400
        assert running.provider.requests == []
        assert (await running.chat("mail bob@example.com and alice@ex/**/ample.com")).status == 200
    assert running.provider.requests[0].json()["messages"][0]["content"] == "mail [EMAIL_1] and [EMAIL_2]"


async def test_judges_are_asked_about_what_is_sent(gateway: GatewayFactory) -> None:
    judges = {"guard": {"kind": "chat", "model": "judge", "prompt": "yes-no", "policy": "No keys."}}
    stacked = [*moderation({"judges": ["guard"], "on": "input"}, judges=judges), "joiner"]
    verdict, fine = openai_chat.answer("yes"), openai_chat.answer("no")

    def answer(request: Any) -> Any:
        asked = request.json()
        if asked["model"] != "judge":
            return openai_chat.answer("Hello")(request)
        return (verdict if KEY in json.dumps(asked) else fine)(request)

    provider = ScriptedProvider(default=answer)
    async with gateway(stacked, classes={**CLASSES, "joiner": Joiner}, provider=provider) as running:
        assert (await running.chat("Hello")).status == 200
        assert (await running.chat(KEY.replace("test", "te/**/st"))).status == 400
