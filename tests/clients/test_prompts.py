"""Prompts over a socket: Helicone's own clients of them, and the openai and anthropic SDKs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from helicone_gw.testing import RecordedRequest, ScriptedProvider, ScriptedResponse
from helicone_gw.testing.dialects import anthropic, openai_chat
from tests.clients.async_loggers.suite import NEW, NODE, node, python, run
from tests.clients.conftest import DEFAULT
from tests.clients.gateways import ALICE, Connect, Flavour, Ports, Running, configuration, texts
from tests.clients.litellm_suite.suite import IndexUnreachable
from tests.program import gateway

HERE = Path(__file__).parent / "prompts_suite"
BODY: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [
        {"role": "system", "content": "You help {{hc:who:string}} {{ hc : times : number }} times."},
        {"role": "user", "content": "Begin."},
    ],
    "temperature": 0.5,
}
FILLED = "You help Ann 3 times."
INPUTS = {"who": "Ann", "times": 3}


@pytest.fixture(scope="module")
def prompting(tmp_path_factory: pytest.TempPathFactory, ports: Ports) -> Iterator[Running]:
    """A gateway that wants a key, with prompts outside of the cache."""
    directory = tmp_path_factory.mktemp("prompting")
    plugins = [{"security": {"keys": {"alice": ALICE}}}, "prompts", "cache", "router"]
    with gateway(configuration(ports, DEFAULT, directory, *plugins), directory) as url:
        yield Running(url, directory)


@pytest.fixture(scope="module")
def api(prompting: Running) -> Callable[..., Any]:
    """Asks the REST API; the ``data`` of its answer."""

    def ask(path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {ALICE}"}
        answer = httpx.post(f"{prompting.url}/v1/prompt-2025{path}", json=body, headers=headers, trust_env=False)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    return ask


@pytest.fixture(scope="module")
def prompt(api: Callable[..., Any]) -> dict[str, str]:
    """A prompt (``prompt``, ``version``) and one that holds a message of it (``outer``)."""
    made = api("", {"name": "Helping", "tags": ["a"], "promptBody": BODY})
    partial_of_it = f"<{{{{hcp:{made['id']}:0}}}}> {{{{hc:who:string}}}}"
    outer = api("", {"name": "Outer", "promptBody": {"messages": [{"role": "user", "content": partial_of_it}]}})
    return {"prompt": made["id"], "version": made["versionId"], "outer": outer["id"]}


@pytest.fixture
def given(prompting: Running, provider: ScriptedProvider, prompt: dict[str, str]) -> dict[str, Any]:
    """What a client is told; the provider answers everything."""
    provider.default = openai_chat.answer("Hello!")
    return {"gateway": prompting.url, "key": ALICE, "inputs": INPUTS, "user": f"user-{uuid4().hex}", **prompt}


def installed(make: Callable[[], Path]) -> Path:
    """Where a client is installed; the test is skipped where it is not and cannot be."""
    try:
        return make()
    except IndexUnreachable:
        pytest.skip("the client is not installed under .cache yet, and no package index can be reached")


def expanded(request: RecordedRequest) -> tuple[str, list[str]]:
    """What the system says and what the roles of the messages are, in a call of OpenAI's or Anthropic's dialect."""
    body = request.json()
    assert not {"prompt_id", "version_id", "environment", "inputs"} & set(body)
    roles = [message["role"] for message in body["messages"]]
    return body.get("system") or body["messages"][0]["content"], roles


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_ai_sdk_provider_and_the_prompt_manager_of_helpers(
    given: dict[str, Any], provider: ScriptedProvider, prompting: Running, tmp_path: Path
) -> None:
    home = installed(partial(node, HERE))
    (home / "client.mjs").write_bytes((HERE / "client.mjs").read_bytes())
    printed = json.loads((await run([NODE, home / "client.mjs"], tmp_path, given)).splitlines()[-1])
    assert (printed["whole"], printed["streamed"]) == ("Hello!", "Hello!")
    assert "times: expected number, given many" in printed["refused"]
    assert [expanded(request) for request in provider.requests] == [(FILLED, ["system", "user"])] * 2
    assert [request.json().get("stream", False) for request in provider.requests] == [False, True]
    assert printed["body"] == BODY
    assert [each["prompt_id"] for each in printed["partials"]] == [given["prompt"]]
    assert printed["made"]["errors"] == []
    made, ours = printed["made"]["body"], provider.requests[0].json()
    assert (made["messages"], made["temperature"]) == (ours["messages"], ours["temperature"])
    rows = await prompting.rows(given["user"], 2)
    assert {(row["prompt_id"], row["properties"]["Helicone-Prompt-Version"]) for row in rows} == {
        (given["prompt"], f"{given['prompt']}@1.0")
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_helicone_helpers_prompt_manager(
    given: dict[str, Any], provider: ScriptedProvider, tmp_path: Path, prompting: Running
) -> None:
    command = [installed(partial(python, NEW)), HERE / "manager_client.py"]
    printed = json.loads((await run(command, tmp_path, given)).splitlines()[-1])
    assert printed["problems"] == []
    assert printed["versions"] == [[given["version"], 1, 0]] * 3
    assert printed["asynchronous"] == [given["version"], printed["made"]]
    headers = {"Authorization": f"Bearer {ALICE}"}
    async with httpx.AsyncClient(trust_env=False, headers=headers) as client:
        for asked in (given["prompt"], given["outer"]):
            body = {"model": "gpt-4o-mini", "prompt_id": asked, "inputs": INPUTS}
            answer = await client.post(f"{prompting.url}/v1/chat/completions", json=body)
            assert answer.status_code == 200, answer.text
    theirs, ours, outer = [request.json() for request in provider.requests]
    assert theirs["messages"] == printed["made"]["messages"] == ours["messages"]
    # helicone-helpers fills in those variables of a partial alone that the prompt around it has, too.
    assert printed["whole"]["messages"][0]["content"] == "<You help Ann {{ hc : times : number }} times.> Ann"
    assert outer["messages"][0]["content"] == f"<{FILLED}> Ann"


@pytest.mark.parametrize("stream", [False, True])
async def test_the_same_prompt_through_both_sdks(
    given: dict[str, Any], provider: ScriptedProvider, connect: Connect, flavour: Flavour, stream: bool
) -> None:
    """The cache, which lies inside, knows requests by what the prompt made of them."""
    run = uuid4().hex
    asked = {"prompt_id": given["prompt"], "inputs": INPUTS}
    headers = {"Helicone-Cache-Enabled": "true", "Helicone-Cache-Seed": run, "Helicone-User-Id": given["user"]}

    def either(request: RecordedRequest) -> ScriptedResponse:
        dialect: Any = anthropic if "/anthropic/" in request.target else openai_chat
        found: ScriptedResponse = dialect.answer("Hello!")(request)
        return found

    provider.default = either
    chat = connect("openai", f"{given['gateway']}/v1", flavour, api_key=ALICE)
    claude = connect("anthropic", given["gateway"], flavour, api_key=ALICE)

    async def ask_chat(**more: Any) -> tuple[str, Any]:
        raw = await chat.call(
            chat.sdk.chat.completions.with_raw_response.create,
            model="gpt-4o-mini",
            messages=[],
            stream=stream,
            extra_body={**asked, **more},
            extra_headers=headers,
        )
        parsed = raw.parse()
        text = texts(await chat.list(parsed)) if stream else parsed.choices[0].message.content
        return text, raw.headers["helicone-cache"]

    async def ask_claude(**more: Any) -> tuple[str, Any]:
        raw = await claude.call(
            claude.sdk.messages.with_raw_response.create,
            model="claude-haiku-4-5",
            max_tokens=64,
            messages=[],
            stream=stream,
            extra_body={**asked, **more},
            extra_headers=headers,
        )
        parsed = await claude.call(raw.parse)
        if not stream:
            return parsed.content[0].text, raw.headers["helicone-cache"]
        deltas = [event.delta.text for event in await claude.list(parsed) if event.type == "content_block_delta"]
        return "".join(deltas), raw.headers["helicone-cache"]

    for ask in (ask_chat, ask_claude):
        assert await ask() == ("Hello!", "MISS")
        assert await ask(inputs={"who": "Ann", "times": "3"}) == ("Hello!", "HIT")
        assert await ask(inputs={"who": "Bea", "times": "3"}) == ("Hello!", "MISS")
    of_chat, _, of_claude, _ = [expanded(request) for request in provider.requests]
    assert of_chat == (FILLED, ["system", "user"])
    assert of_claude == (FILLED, ["user"])
