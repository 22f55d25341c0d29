"""litellm's ``helicone/`` provider through the running gateway, as its documents show it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from helicone_gw.testing import RecordedRequest, ScriptedProvider
from helicone_gw.testing.dialects import ToolCall, anthropic, openai_chat
from helicone_gw.testing.script import ScriptedResponse
from tests.clients.gateways import (
    ALICE,
    ANTHROPIC_KEY,
    OPENAI_KEY,
    Flavour,
    Ports,
    Running,
    Ways,
    configuration,
    sent_to_provider,
)
from tests.clients.litellm_suite.suite import IndexUnreachable, Litellm, Outcome, started
from tests.program import gateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MESSAGES = [{"role": "user", "content": "Say hello."}]
OPENROUTER_KEY = "sk-configured-for-openrouter"
OPENAI, ANTHROPIC, OPENROUTER = (
    "/openai/v1/chat/completions",
    "/anthropic/v1/messages",
    "/openrouter/v1/chat/completions",
)
HELLO = openai_chat.answer("Hello from a GPT!")
CLAUDE = anthropic.answer("Hello from Claude!")
CLAUDE_TOO = "gpt-4o/openai,claude-sonnet-4/anthropic"

streams = pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])


@pytest.fixture(scope="module")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Litellm]:
    try:
        with started(tmp_path_factory.mktemp("litellm")) as litellm:
            yield litellm
    except IndexUnreachable:
        pytest.skip("litellm is not installed under .cache yet, and no package index can be reached")


@pytest.fixture(scope="module")
def routing(ports: Ports, ways: Ways, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that wants a key, with everything that routes; OpenRouter offers OpenAI's models, too."""
    directory = tmp_path_factory.mktemp("routing")
    security = {"security": {"keys": {"alice": ALICE}}}
    # The scripts fail more often in a row than a provider may that is to be called again.
    router = {"router": {"health": {"failures": 1000, "min_outcomes": 1000}}}
    config = configuration(ports, ways, directory, security, router, "fallbacks", "retries")
    origin = f"http://127.0.0.1:{ports.provider}"
    config["providers"]["openrouter"] = {"base_url": f"{origin}/openrouter/v1", "api_key": OPENROUTER_KEY}
    with gateway(config, directory) as url:
        yield Running(url, directory)


@dataclass(frozen=True, slots=True)
class Ask:
    """Calls litellm as its users do: the gateway as ``api_base``, a gateway key as ``api_key``."""

    litellm: Litellm
    url: str
    flavour: Flavour = "sync"

    async def __call__(self, model: str, *, function: str = "completion", **options: Any) -> Outcome:
        """A completion by ``helicone/<model>``, without retries of litellm's own."""
        if function == "completion" and "prompt" not in options:
            options["messages"] = MESSAGES
        where = {"api_base": self.url, "api_key": ALICE, "max_retries": 0, "timeout": 30}
        function = f"a{function}" if self.flavour == "async" else function
        return await self.litellm.call(function, model=f"helicone/{model}", **{**where, **options})


@pytest.fixture
def ask(litellm: Litellm, routing: Running) -> Ask:
    return Ask(litellm, routing.url)


@pytest.fixture
def ask_both(litellm: Litellm, routing: Running, flavour: Flavour) -> Ask:
    """``completion``, and ``acompletion``."""
    return Ask(litellm, routing.url, flavour)


def called(provider: ScriptedProvider) -> list[tuple[str, str]]:
    """The provider's path and the model of every request, in order."""
    return [(request.path, request.json()["model"]) for request in provider.requests]


@streams
@pytest.mark.parametrize("base", ["", "/", "/v1"], ids=["root", "slash", "v1"])
async def test_plain(ask_both: Ask, routing: Running, provider: ScriptedProvider, base: str, stream: bool) -> None:
    provider.enqueue(HELLO)
    options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    outcome = await ask_both("gpt-4o", api_base=routing.url + base, **options)
    assert (outcome.error, outcome.text, outcome.finish_reasons) == (None, "Hello from a GPT!", ["stop"])
    assert outcome.usage == (12, 7)
    assert (len(outcome.answers) > 1) is stream
    assert outcome.headers["helicone-provider"] == "openai"
    (request,) = provider.requests
    assert request.target == OPENAI
    assert request.json() == {"model": "gpt-4o", "messages": MESSAGES, **options}


async def test_the_gateway_key_stays_here(ask_both: Ask, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.error(500), CLAUDE)
    assert (await ask_both(CLAUDE_TOO)).error is None
    first, second = provider.requests
    assert first.headers.get("authorization") == f"Bearer {OPENAI_KEY}"
    assert second.headers.get("x-api-key") == ANTHROPIC_KEY
    assert all(ALICE.encode() not in sent_to_provider(request) for request in provider.requests)


@streams
@pytest.mark.parametrize(
    ("model", "path", "upstream_model", "answer", "text"),
    [
        ("gpt-4o/openai", OPENAI, "gpt-4o", HELLO, "Hello from a GPT!"),
        ("gpt-4o/openrouter", OPENROUTER, "openai/gpt-4o", HELLO, "Hello from a GPT!"),
        ("claude-sonnet-4/anthropic", ANTHROPIC, "claude-sonnet-4-0", CLAUDE, "Hello from Claude!"),
    ],
)
async def test_a_provider_suffix(
    ask_both: Ask,
    provider: ScriptedProvider,
    model: str,
    path: str,
    upstream_model: str,
    answer: Callable[[RecordedRequest], ScriptedResponse],
    text: str,
    stream: bool,
) -> None:
    provider.enqueue(answer)
    outcome = await ask_both(model, stream=stream)
    assert (outcome.error, outcome.text, outcome.finish_reasons) == (None, text, ["stop"])
    assert called(provider) == [(path, upstream_model)]


async def test_a_suffix_leaves_no_other_provider(ask: Ask, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.error(503, "at rest"))
    outcome = await ask("gpt-4o/openrouter")
    assert outcome.error is not None
    assert (outcome.error["type"], outcome.error["status"]) == ("ServiceUnavailableError", 503)
    assert called(provider) == [(OPENROUTER, "openai/gpt-4o")]


@streams
@pytest.mark.parametrize(
    "failure",
    [
        openai_chat.error(429, "Rate limit reached"),
        openai_chat.error(500),
        openai_chat.error(503, "Overloaded"),
        openai_chat.reply().cut("before_head"),
    ],
    ids=["429", "500", "503", "cut"],
)
async def test_a_list_whose_first_model_fails(
    ask_both: Ask, provider: ScriptedProvider, failure: ScriptedResponse, stream: bool
) -> None:
    provider.enqueue(failure, CLAUDE)
    outcome = await ask_both(CLAUDE_TOO, stream=stream)
    assert (outcome.error, outcome.text, outcome.finish_reasons) == (None, "Hello from Claude!", ["stop"])
    assert called(provider) == [(OPENAI, "gpt-4o"), (ANTHROPIC, "claude-sonnet-4-0")]
    assert (outcome.headers["helicone-attempts"], outcome.headers["helicone-provider"]) == ("2", "anthropic")


@pytest.mark.parametrize(
    "failure",
    [
        openai_chat.stream("Never seen").interrupted(openai_chat.error_event("Overloaded"), events=1),
        openai_chat.stream("Never seen").cut(events=1),
    ],
    ids=["error-event", "cut"],
)
async def test_a_list_whose_first_stream_fails_before_its_first_content(
    ask_both: Ask, provider: ScriptedProvider, failure: ScriptedResponse
) -> None:
    provider.enqueue(failure, CLAUDE)
    outcome = await ask_both(CLAUDE_TOO, stream=True)
    assert (outcome.error, outcome.text, outcome.finish_reasons) == (None, "Hello from Claude!", ["stop"])
    assert [path for path, _ in called(provider)] == [OPENAI, ANTHROPIC]


async def test_a_list_whose_every_model_fails(ask: Ask, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.error(500), anthropic.error(429, "Too many tokens"))
    outcome = await ask(CLAUDE_TOO)
    assert outcome.error is not None
    assert (outcome.error["type"], outcome.error["status"]) == ("RateLimitError", 429)
    assert "Too many tokens" in outcome.error["message"]


async def test_a_list_is_one_row_of_the_log(ask: Ask, routing: Running, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.error(500), CLAUDE)
    outcome = await ask(CLAUDE_TOO, extra_body={"metadata": {"Helicone-User-Id": "litellm-list"}})
    (row,) = await routing.rows("litellm-list")
    assert row["request_id"] == outcome.headers["helicone-id"]
    assert (row["outcome"], row["status"], row["provider"]) == ("ok", 200, "anthropic")
    assert (row["request_model"], row["prompt_tokens"], row["completion_tokens"]) == (CLAUDE_TOO, 12, 7)


FALLBACKS = {"Helicone-Fallbacks": json.dumps(["gpt-4o/openai", "claude-sonnet-4/anthropic"])}


@pytest.mark.parametrize(
    "options", [{"extra_headers": FALLBACKS}, {"extra_body": {"metadata": FALLBACKS}}], ids=["header", "metadata"]
)
async def test_fallbacks_by_name(ask: Ask, provider: ScriptedProvider, options: dict[str, Any]) -> None:
    provider.enqueue(openai_chat.error(500), CLAUDE)
    outcome = await ask("gpt-4o/openai", **options)
    assert (outcome.error, outcome.text) == (None, "Hello from Claude!")
    assert outcome.headers["helicone-fallback-index"] == "1"
    assert called(provider) == [(OPENAI, "gpt-4o"), (ANTHROPIC, "claude-sonnet-4-0")]


def fields(user: str) -> dict[str, str]:
    return {
        "Helicone-User-Id": user,
        "Helicone-Session-Id": "session-1",
        "Helicone-Property-Team": "blue",
        "mine": "kept",
    }


@streams
@pytest.mark.parametrize("way", ["extra_body", "preview"])
async def test_metadata_is_read_and_stripped(
    ask_both: Ask, routing: Running, provider: ScriptedProvider, way: str, stream: bool
) -> None:
    provider.enqueue(HELLO)
    user = f"litellm-{way}-{ask_both.flavour}-{stream}"
    if way == "preview":
        send = partial(ask_both, metadata=fields(user), settings={"enable_preview_features": True})
    else:
        send = partial(ask_both, extra_body={"metadata": fields(user)})
    assert (await send("gpt-4o/openai", stream=stream)).text == "Hello from a GPT!"
    (request,) = provider.requests
    assert request.json()["metadata"] == {"mine": "kept"}
    assert b"helicone" not in sent_to_provider(request).lower()
    (row,) = await routing.rows(user)
    assert (row["session_id"], row["properties"]["Team"]) == ("session-1", "blue")
    assert (row["stream"], row["request_model"], row["outcome"]) == (stream, "gpt-4o/openai", "ok")


async def test_the_gateway_key_in_metadata(ask: Ask, provider: ScriptedProvider) -> None:
    provider.enqueue(HELLO)
    metadata = {"Helicone-Auth": f"Bearer {ALICE}"}
    outcome = await ask("gpt-4o/openai", api_key="sk-of-the-client", extra_body={"metadata": metadata})
    assert (outcome.error, outcome.text) == (None, "Hello from a GPT!")
    (request,) = provider.requests
    assert request.headers.get("authorization") == "Bearer sk-of-the-client"
    assert request.json() == {"model": "gpt-4o", "messages": MESSAGES}


@streams
@pytest.mark.parametrize(
    ("model", "script", "text"),
    [("claude-sonnet-4/anthropic", CLAUDE, "Hello from Claude!"), ("gpt-4o/openai", HELLO, "Hello from a GPT!")],
)
async def test_a_prompt_is_one_message_of_the_user(
    ask: Ask, provider: ScriptedProvider, model: str, script: Any, text: str, stream: bool
) -> None:
    provider.enqueue(script)
    outcome = await ask(model, messages=[], prompt="Say hello.", stream=stream)
    assert (outcome.error, outcome.text) == (None, text)
    assert provider.requests[0].json()["messages"] == MESSAGES
    assert "prompt" not in provider.requests[0].json()


@streams
@pytest.mark.parametrize(("model", "path"), [("gpt-4o", OPENAI), ("claude-sonnet-4", ANTHROPIC)])
async def test_text_completions(ask: Ask, provider: ScriptedProvider, model: str, path: str, stream: bool) -> None:
    provider.enqueue(HELLO if path == OPENAI else CLAUDE)
    outcome = await ask(model, function="text_completion", prompt="Say hello.", stream=stream)
    assert outcome.error is None
    assert outcome.text == ("Hello from a GPT!" if path == OPENAI else "Hello from Claude!")
    assert provider.requests[0].path == path
    assert provider.requests[0].json()["messages"] == MESSAGES


@streams
async def test_tools_of_a_provider_of_another_dialect(ask_both: Ask, provider: ScriptedProvider, stream: bool) -> None:
    provider.enqueue(anthropic.answer(None, tools=[ToolCall("weather", {"city": "Zürich"}, id="toolu_1")]))
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": parameters}}]
    outcome = await ask_both("claude-sonnet-4", tools=tools, stream=stream)
    assert (outcome.error, outcome.finish_reasons) == (None, ["tool_calls"])
    parts = [choice.get("message") or choice["delta"] for choice in outcome.choices]
    calls = [call for part in parts for call in part["tool_calls"] or []]
    assert (calls[0]["id"], calls[0]["function"]["name"]) == ("toolu_1", "weather")
    assert json.loads("".join(call["function"]["arguments"] or "" for call in calls)) == {"city": "Zürich"}
    (tool,) = provider.requests[0].json()["tools"]
    assert (tool["name"], tool["input_schema"]) == ("weather", parameters)


async def test_a_key_that_is_not_known_here(ask_both: Ask, provider: ScriptedProvider) -> None:
    outcome = await ask_both("gpt-4o", api_key="nobody's")
    assert outcome.error is not None
    assert (outcome.error["type"], outcome.error["status"]) == ("AuthenticationError", 401)
    assert not provider.requests


@streams
@pytest.mark.parametrize(
    ("status", "exception"),
    [(400, "BadRequestError"), (404, "NotFoundError"), (429, "RateLimitError"), (500, "InternalServerError")],
)
async def test_errors_are_those_of_the_provider(
    ask: Ask, provider: ScriptedProvider, status: int, exception: str, stream: bool
) -> None:
    provider.enqueue(openai_chat.error(status, "It is what it is."))
    outcome = await ask("gpt-4o/openai", stream=stream)
    assert outcome.error is not None
    assert (outcome.error["type"], outcome.error["status"]) == (exception, status)
    assert "It is what it is." in outcome.error["message"]


async def test_a_stream_that_is_cut_does_not_look_complete(ask_both: Ask, provider: ScriptedProvider) -> None:
    provider.enqueue(openai_chat.stream("Hello from a GPT!").cut(events=3))
    outcome = await ask_both(CLAUDE_TOO, stream=True)
    assert outcome.error is not None
    assert "Hello from a GPT!".startswith(outcome.text)
    assert outcome.text
    assert len(provider.requests) == 1
