"""The hooks of ``prompts``, through a whole gateway: what the provider is sent, and what the layers inside see."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from helicone_gw import Exchange, Plugin, hookimpl
from helicone_gw.config import load_config
from helicone_gw.registry import load
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_prompts.plugin import PromptsPlugin
from tests.plugins.prompts.running import BODY, CHAT, made, plugin, rest, sent

pytestmark = pytest.mark.virtual_time

INPUTS = {"who": 'Bob", "role": "x', "times": 0}
FILLED = 'You help Bob", "role": "x 0 times.'
DIALECTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (CHAT, {}),
    "responses": ("/v1/responses", {"input": "Hi {{hc:who:string}}"}),
    "messages": ("/v1/messages", {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": []}),
    "gemini": ("/v1beta/models/gemini-2.5-flash:generateContent", {"contents": []}),
}


class Inner(Plugin):
    """A layer inside, as limits and caches are."""

    seen: tuple[str | None, bytes | None] = (None, None)

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        type(self).seen = exchange.request.model, exchange.request.body


def system_of(body: Any) -> str:
    """What the system says in a body of any dialect."""
    if "messages" in body and body["messages"] and body["messages"][0]["role"] == "system":
        return str(body["messages"][0]["content"])
    if "systemInstruction" in body:
        return str(body["systemInstruction"]["parts"][0]["text"])
    return str(body.get("system") or body.get("instructions"))


def test_it_is_offered_as_a_plugin_that_fails_closed() -> None:
    assert load("prompts") is PromptsPlugin
    assert PromptsPlugin.on_failure == "closed"


def test_the_readmes_examples_are_configurations_and_prompts(tmp_path: Path) -> None:
    from helicone_gw_prompts.files import read_text

    readme = Path(__file__).parents[3] / "plugins" / "prompts" / "README.md"
    examples = re.findall(r"^```yaml\n(.*?)^```", readme.read_text(), re.MULTILINE | re.DOTALL)
    file = tmp_path / "gateway.yaml"
    file.write_text(examples[0])
    config = load_config(file, environ={}, plugin_class=load, known_providers=())
    assert [each.name for each in config.plugins] == ["logging", "security", "prompts", "cache"]
    assert read_text(Path("welcome.yaml"), examples[1], 100_000).id == "welcome"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_prompt_in_every_dialect_streamed_or_not(gateway: GatewayFactory, dialect: str, stream: bool) -> None:
    path, body = DIALECTS[dialect]
    body = {**body, **({"stream": True} if stream and dialect != "gemini" else {})}
    if stream and dialect == "gemini":
        path = path.replace("generateContent", "streamGenerateContent?alt=sse")
    async with gateway(["prompts", "inner", "router"], classes={"inner": Inner}) as running:
        prompt, version = await made(running, {**BODY, "stream": not stream, "inputs": {"who": "saved"}})
        asked = {**body, "prompt_id": prompt, "environment": "production", "inputs": INPUTS}
        answer = await running.request(
            "POST", path, json=asked, headers={"anthropic-version": "2023-06-01"} if dialect == "messages" else {}
        )
        assert answer.status == 200, answer.body
        assert ("text/event-stream" in (answer.headers.get("content-type") or "")) is stream
        told = sent(running)
        assert system_of(told) == FILLED
        assert not {"prompt_id", "environment", "inputs", "version_id"} & set(told)
        assert bool(told.get("stream")) is (stream and dialect != "gemini")
        assert (told.get("temperature") or told["generationConfig"]["temperature"]) == 0.2
        (exchange,) = [each for each in running.exchanges if each.request.operation != "rest"]
        assert Inner.seen[1] is not None
        assert b"prompt_id" not in Inner.seen[1]
        assert b"You help Bob" in Inner.seen[1]
        assert exchange.annotations == {
            "prompts.id": prompt,
            "prompts.version_id": version,
            "prompts.version": "1.0",
            "prompts.environment": "production",
            "prompts.inputs": INPUTS,
        }
        assert exchange.request.helicone.prompt_id == prompt
        assert exchange.request.helicone.properties["helicone-prompt-version"] == f"{prompt}@1.0"
        assert not [name for name, _ in running.provider.requests[-1].headers if "helicone" in name]


async def test_tokens_of_a_prompt_can_be_counted(gateway: GatewayFactory) -> None:
    async with gateway(["prompts", "router"]) as running:
        prompt, _ = await made(running, {**BODY, "max_tokens": 5})
        body = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "Hi"}]}
        asked = {**body, "prompt_id": prompt, "inputs": INPUTS}
        await running.request(
            "POST", "/v1/messages/count_tokens", json=asked, headers={"anthropic-version": "2023-06-01"}
        )
        assert sent(running) == {**body, "system": FILLED}


async def test_the_model_is_the_requests_or_the_prompts(gateway: GatewayFactory) -> None:
    async with gateway(["prompts", "inner", "router"], classes={"inner": Inner}) as running:
        prompt, _ = await made(running)
        for asked, model in (({}, "gpt-4o-mini"), ({"model": "gpt-4o"}, "gpt-4o")):
            answer = await running.request("POST", CHAT, json={**asked, "prompt_id": prompt})
            assert (answer.status, sent(running)["model"], Inner.seen[0]) == (200, model, model)


async def test_the_requests_messages_follow_the_prompts(gateway: GatewayFactory) -> None:
    async with gateway(["prompts"]) as running:
        prompt, _ = await made(running)
        await running.chat(
            "I am {{hc:who:string}}; {{hcp:abcdef:0}}", prompt_id=prompt, inputs={"who": "Ann"}, temperature=1
        )
        told = sent(running)
        assert [message["content"] for message in told["messages"]] == [
            "You help Ann {{hc:times:number}} times.",
            "I am Ann; {{hcp:abcdef:0}}",
        ]
        assert told["temperature"] == 1


async def test_which_version_is_meant(gateway: GatewayFactory) -> None:
    async with gateway(["prompts"]) as running:
        prompt, first = await made(running, {"messages": [{"role": "user", "content": "first"}]})
        update = {"promptId": prompt, "promptVersionId": first, "commitMessage": "", "environment": "staging"}
        body = {"messages": [{"role": "user", "content": "second"}]}
        second = (await rest(running, "POST", "/v1/prompt-2025/update", {**update, "promptBody": body}))["id"]

        async def content(**asked: Any) -> str:
            answer = await running.request("POST", CHAT, json={"model": "gpt-4o-mini", **asked})
            return str(
                sent(running)["messages"][0]["content"] if answer.status == 200 else answer.json()["error"]["code"]
            )

        assert await content(prompt_id=prompt) == "first"
        assert await content(prompt_id=prompt, version_id=second) == "second"
        assert await content(version_id=second) == "second"
        assert await content(prompt_id=prompt, environment="staging") == "second"
        assert await content(prompt_id=prompt, environment="staging", version_id=first) == "second"
        assert await content(prompt_id=prompt, environment="nowhere") == "prompt_not_found"
        assert await content(prompt_id="nobody") == "prompt_not_found"
        assert await content(prompt_id="other", version_id=first) == "prompt_not_found"
        await rest(
            running,
            "POST",
            "/v1/prompt-2025/update/environment",
            {"promptId": prompt, "promptVersionId": second, "environment": "production"},
        )
        assert await content(prompt_id=prompt) == "second"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_inputs_that_do_not_fit_are_refused_in_the_clients_dialect(gateway: GatewayFactory, dialect: str) -> None:
    path, body = DIALECTS[dialect]
    async with gateway(["prompts"]) as running:
        prompt, _ = await made(
            running, {**BODY, "tools": [{"type": "function", "function": {"name": "{{hc:tool:string}}"}}]}
        )
        asked = {**body, "prompt_id": prompt, "inputs": {"times": "many"}}
        answer = await running.request("POST", path, json=asked)
        assert answer.status == 400
        message = answer.json()["error"]["message"]
        assert "times: expected number, given many\ntool: expected string, and none was given" in message
        assert running.provider.requests == []
        assert plugin(running).counters.refused == 1


@pytest.mark.parametrize(
    ("dialect", "own"),
    [
        ("responses", {"instructions": "For {{hc:who:string}}"}),
        ("messages", {"system": "For {{hc:who:string}}"}),
        ("messages", {"system": [{"type": "text", "text": "For {{hc:who:string}}"}]}),
        ("gemini", {"systemInstruction": {"parts": [{"text": "For {{hc:who:string}}"}]}}),
        ("gemini", {"system_instruction": {"parts": [{"text": "For {{hc:who:string}}"}]}}),
    ],
)
async def test_what_the_requests_own_system_says_is_filled_in_and_follows(
    gateway: GatewayFactory, dialect: str, own: dict[str, Any]
) -> None:
    path, body = DIALECTS[dialect]
    async with gateway(["prompts"]) as running:
        prompt, _ = await made(running)
        await running.request("POST", path, json={**body, **own, "prompt_id": prompt, "inputs": {"who": "Ann"}})
        said = str(sent(running))
        assert said.index("You help Ann {{hc:times:number}} times.") < said.index("For Ann")


async def test_tools_of_either_side_are_filled_in(gateway: GatewayFactory) -> None:
    def tool(name: str) -> dict[str, Any]:
        return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}

    async with gateway(["prompts"]) as running:
        prompt, _ = await made(running, {**BODY, "tools": [tool("{{hc:a:string}}")]})
        inputs = {"a": "first", "b": "second"}
        await running.chat("Hi", prompt_id=prompt, inputs=inputs, tools=[tool("{{hc:b:string}}")])
        assert [each["function"]["name"] for each in sent(running)["tools"]] == ["first", "second"]


async def test_partials_are_those_of_the_prompt_and_not_of_its_inputs(gateway: GatewayFactory) -> None:
    async with gateway([{"prompts": {"max_expanded": 1000}}]) as running:
        secret, _ = await made(running, {"messages": [{"role": "user", "content": "secret {{hc:who:string}}"}]})
        prompt, _ = await made(
            running, {"messages": [{"role": "user", "content": f"<{{{{hcp:{secret}:0}}}}> {{{{hc:who:string}}}}"}]}
        )
        inputs = {"who": f"{{{{hcp:{secret}:0}}}}"}
        await running.request("POST", CHAT, json={"model": "gpt-4o-mini", "prompt_id": prompt, "inputs": inputs})
        assert sent(running)["messages"][0]["content"] == f"<secret {inputs['who']}> {inputs['who']}"
        for length in (490, 1000):
            asked = {"model": "m", "prompt_id": prompt, "inputs": {"who": "x" * length}}
            large = await running.request("POST", CHAT, json=asked)
            assert (large.status, large.json()["error"]["code"]) == (413, "prompt_too_large")


async def test_falsy_inputs_can_be_left_out_as_at_helicone(gateway: GatewayFactory) -> None:
    async with gateway([{"prompts": {"keep_falsy": True}}]) as running:
        prompt, _ = await made(running)
        await running.request("POST", CHAT, json={"prompt_id": prompt, "inputs": {"who": "", "times": 0}})
        assert sent(running)["messages"] == BODY["messages"]


async def test_requests_without_a_prompt_pass_byte_for_byte(gateway: GatewayFactory) -> None:
    async with gateway(["prompts"]) as running:
        text = b'"\\u00e9 \\"prompt_id\\" {{hc:a:string}}"'
        body = b'{ "model": "gpt-4o-mini","messages":[{"role":"user","content":' + text + b'}], "n":1.0 }'
        await running.request("POST", CHAT, content=body, headers={"content-type": "application/json"})
        assert running.provider.requests[-1].body == body
        assert running.exchanges[-1].annotations == {}
        assert plugin(running).library.counters.checks == 0


async def test_fields_of_a_prompt_without_a_prompt_go_no_further(gateway: GatewayFactory) -> None:
    async with gateway(["prompts"]) as running:
        await running.chat("Hi", prompt_id="", inputs={"a": 1}, environment="x")
        assert set(sent(running)) == {"model", "messages"}


async def test_inputs_are_noted_within_bounds_and_not_where_the_request_is_to_be_omitted(
    gateway: GatewayFactory,
) -> None:
    async with gateway(["prompts"]) as running:
        prompt, _ = await made(running)

        async def notes(inputs: Any, **headers: str) -> dict[str, Any]:
            asked = {"prompt_id": prompt, "inputs": inputs}
            await running.request(
                "POST", CHAT, json=asked, headers={name.replace("_", "-"): value for name, value in headers.items()}
            )
            return {name: value for name, value in running.exchanges[-1].annotations.items() if "input" in name}

        assert await notes({"who": "x" * 20_000}) == {"prompts.inputs_too_large": 20_010}
        assert await notes({"who": "x"}, Helicone_Omit_Request="true") == {}
        assert await notes({}) == {}


MARKED = 'Write of <helicone-prompt-input key="what" > the sea </helicone-prompt-input>.'


@pytest.mark.parametrize("message", ["chat", "message"])
async def test_marks_of_legacy_templates_are_taken_out(gateway: GatewayFactory, message: str) -> None:
    async with gateway(["prompts"]) as running:
        ask = getattr(running, message)
        for mode, text in ((None, "Write of  the sea ."), ("testing", "Write of  the sea ."), ("deactivated", MARKED)):
            headers = {"Helicone-Prompt-Id": "sea", **({} if mode is None else {"Helicone-Prompt-Mode": mode})}
            await ask(MARKED, headers=headers)
            assert sent(running)["messages"][0]["content"] == text
            noted = running.exchanges[-1].annotations
            assert noted.get("prompts.inputs") == (None if mode == "deactivated" else {"what": "the sea"})
        await ask(MARKED)
        assert sent(running)["messages"][0]["content"] == MARKED


async def test_templates_become_versions_when_they_change(gateway: GatewayFactory) -> None:
    async with gateway(["prompts"]) as running:
        headers = {"Helicone-Prompt-Id": "sea"}

        async def ask(text: str, **more: str) -> Any:
            await running.chat(text, headers={**headers, **more})
            await running.gateway.background.drain(5)
            return running.exchanges[-1].annotations.get("prompts.template_version")

        assert await ask(MARKED) is None  # it is being written
        assert await ask(MARKED.replace("the sea", "the sky")) == 1
        assert await ask("Now: " + MARKED) is None
        assert await ask("Now: " + MARKED) == 2
        await ask("Testing: " + MARKED, **{"Helicone-Prompt-Mode": "testing"})
        await ask("Omitted: " + MARKED, **{"Helicone-Omit-Request": "true"})
        (found,) = await rest(running, "POST", "/v1/prompt/query", {})
        assert (found["user_defined_id"], found["major_version"]) == ("sea", 2)
        versions = await rest(running, "POST", "/v1/prompt/sea/versions/query", {})
        assert [each["major_version"] for each in versions] == [2, 1]
        assert versions[1]["helicone_template"]["messages"] == [
            {"role": "user", "content": 'Write of <helicone-prompt-input key="what" />.'}
        ]


async def test_templates_are_kept_within_bounds(gateway: GatewayFactory) -> None:
    async with gateway([{"prompts": {"max_versions": 1, "max_prompts": 1}}]) as running:
        for prompt, text in (("a", MARKED), ("a", "more " + MARKED), ("b", MARKED)):
            await running.chat(text, headers={"Helicone-Prompt-Id": prompt})
            await running.gateway.background.drain(5)
        assert len(await rest(running, "POST", "/v1/prompt/query", {})) == 1
        named = {each.name: each.value for each in plugin(running).measurements()}
        assert (named["prompts_templates_kept"], named["prompts_templates_refused"]) == (1, 2)


@pytest.mark.parametrize("stream", [False, True])
async def test_limits_see_the_expanded_prompt(gateway: GatewayFactory, stream: bool) -> None:
    """A budget refuses what the prompt would cost, and not what the request alone would."""
    budgets = {"budgets": {"small": {"limit": 0.0005, "period": "month"}}}
    async with gateway(["cost", "prompts", {"ratelimit": budgets}]) as running:
        prompt, _ = await made(
            running, {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "{{hc:text:string}}"}]}
        )
        for words, status in ((10, 200), (20_000, 402)):
            asked = {"prompt_id": prompt, "inputs": {"text": "word " * words}, "stream": stream, "max_tokens": 10}
            assert (await running.request("POST", CHAT, json=asked)).status == status


async def test_the_cache_sees_the_expanded_prompt(gateway: GatewayFactory) -> None:
    """Inputs that make the same text are the same question; what the cache stored is the answer to that text."""
    async with gateway(["prompts", "cache"]) as running:
        prompt, _ = await made(running)
        headers = {"Helicone-Cache-Enabled": "true"}

        async def said(**body: Any) -> str | None:
            return (await running.request("POST", CHAT, json=body, headers=headers)).headers.get("helicone-cache")

        assert await said(prompt_id=prompt, inputs={"who": "Ann", "times": 2}) == "MISS"
        assert await said(prompt_id=prompt, inputs={"who": "Ann", "times": "2"}) == "HIT"
        assert await said(prompt_id=prompt, inputs={"who": "Bea", "times": 2}) == "MISS"


async def test_a_permit_holds_for_the_prompts_model(gateway: GatewayFactory) -> None:
    keys = {"ci": {"key": "sk-ci-0123456789", "models": ["gpt-4o-mini"]}, "all": "sk-all-0123456789"}
    async with gateway([{"security": {"keys": keys}}, "prompts"]) as running:
        prompt, _ = await made(running, {**BODY, "model": "gpt-4o"}, key="sk-all-0123456789")
        headers = {"authorization": "Bearer sk-ci-0123456789"}
        refused = await running.request("POST", CHAT, json={"prompt_id": prompt}, headers=headers)
        assert refused.status == 403
        assert (
            await running.request("POST", CHAT, json={"prompt_id": prompt, "model": "gpt-4o-mini"}, headers=headers)
        ).status == 200


async def test_other_organizations_prompts_are_not_there(gateway: GatewayFactory) -> None:
    keys = {name: {"key": f"sk-{name}-0123456789", "organization": name} for name in ("one", "two")}
    async with gateway([{"security": {"keys": keys}}, "prompts"]) as running:
        prompt, version = await made(running, key="sk-one-0123456789")
        for key, status in (("one", 200), ("two", 404)):
            for asked in ({"prompt_id": prompt}, {"version_id": version}):
                answer = await running.request(
                    "POST", CHAT, json=asked, headers={"authorization": f"Bearer sk-{key}-0123456789"}
                )
                assert answer.status == status
        assert await rest(running, "GET", "/v1/prompt-2025/count", key="sk-two-0123456789") == 0
        told = await rest(running, "GET", f"/v1/prompt-2025/id/{prompt}", key="sk-two-0123456789", status=404)
        assert told == f"There is no prompt '{prompt}'."
        await rest(running, "DELETE", f"/v1/prompt-2025/{prompt}", key="sk-two-0123456789", status=404)


async def test_an_edit_is_seen_at_once_here_and_soon_elsewhere(
    gateway: GatewayFactory, tmp_path: Path, virtual_time: Any
) -> None:
    """Two workers with one database."""
    config = {"database": {"url": f"sqlite:///{tmp_path / 'shared.db'}"}}
    async with gateway(["prompts"], config=config) as here, gateway(["prompts"], config=config) as elsewhere:
        prompt, first = await made(here)

        async def temperature(running: RunningGateway) -> Any:
            await running.request("POST", CHAT, json={"prompt_id": prompt})
            return sent(running)["temperature"]

        assert [await temperature(here), await temperature(elsewhere)] == [0.2, 0.2]
        update = {"promptId": prompt, "promptVersionId": first, "commitMessage": "", "environment": "production"}
        await rest(here, "POST", "/v1/prompt-2025/update", {**update, "promptBody": {**BODY, "temperature": 0.9}})
        assert await temperature(here) == 0.9
        await virtual_time.sleep(2.0)
        assert await temperature(elsewhere) == 0.9
