"""Whatever was asked before, by whomever and however written: nobody gets an answer to another question (issue 5).

The provider of these tests says what it was sent: path, query, credential, and the body's tokens. A layer inside the
cache adds which gateway key it was. So an answer is right exactly if it is what the same request gets without a cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helicone_gw import Chunk, Exchange, Plugin, Response, hookimpl
from helicone_gw.testing import (
    GatewayFactory,
    LiveReply,
    RecordedRequest,
    Reply,
    RunningGateway,
    ScriptedProvider,
    ScriptedResponse,
    run_virtual,
)
from helicone_gw.testing.client import http_scope
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat
from tests.plugins.cache.running import plugin

ALICE, BOB = "alice-gateway-key-0001", "bob-gateway-key-0002"
CREDENTIALS = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")


def echo(request: RecordedRequest) -> ScriptedResponse:
    """An answer that says what was asked, in the dialect of the path."""
    sent = [field for field in request.headers.raw if field[0] in (*CREDENTIALS, b"anthropic-beta", b"cookie")]
    said = f"{request.target} {sorted(sent)} {tokens(request.body)}"
    text = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
    if "messages" in request.target:
        return anthropic.stream(text) if b'"stream"' in request.body else anthropic.reply(text)
    if "models/" in request.target:
        sse = "alt=sse" in request.target
        return gemini.stream(text, sse=sse) if "streamGenerate" in request.target else gemini.reply(text)
    streamed = b'"stream":true' in request.body.replace(b" ", b"")
    return openai_chat.stream(text) if streamed else openai_chat.reply(text)


def tokens(body: bytes) -> str:
    """Everything that any parser could see in a body: names given twice, the spelling of numbers and of escapes."""
    try:
        read = json.loads(body, object_pairs_hook=tuple, parse_float=str, parse_int=str, parse_constant=str)
    except ValueError:
        return repr(body)
    compact = b"".join(body.split()) if b"\\" in body else b""
    return repr((read, compact))


class Teller(Plugin):
    """Adds the name of the gateway key to every answer."""

    def _named(self, exchange: Exchange, data: bytes) -> bytes:
        name = b"nobody" if exchange.key is None else exchange.key.id.encode()
        return data.replace(b'"id"', b'"key": "%s", "id"' % name, 1)

    @hookimpl
    def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> Chunk | None:
        return Chunk(self._named(exchange, chunk.data)) if chunk.kind == "event" else None

    @hookimpl
    async def on_response(self, exchange: Exchange, response: Response) -> Response | None:
        return None if response.streamed else response.replace(body=self._named(exchange, response.body or b""))


@dataclass(frozen=True)
class Asked:
    """A request as it is written: target, header fields in their order, body."""

    target: str
    fields: tuple[tuple[str, str], ...]
    body: bytes

    async def send(self, running: RunningGateway, *, cached: bool) -> Reply:
        scope = http_scope("POST", self.target, {})
        switch = (("Helicone-Cache-Enabled", "true"),) if cached else ()
        fields = (*scope["headers"], (b"content-length", b"%d" % len(self.body)))
        own = [(name.encode().lower(), value.encode("latin-1")) for name, value in (*self.fields, *switch)]
        scope["headers"] = [*fields, *own]
        async with LiveReply(running.app, scope, self.body) as live:
            await live.head()
            return Reply(live.status, live.headers, await live.read(), live.aborted)


GATEWAY_KEYS = [
    (("Helicone-Auth", f"Bearer {ALICE}"),),
    (("Helicone-Auth", f"Bearer {BOB}"),),
    (("helicone-auth", ALICE), ("Helicone-Auth", f"Bearer {BOB}")),
    (("Authorization", f"Bearer {ALICE}"),),
    (("x-api-key", BOB),),
    (("Authorization", f"Bearer sk-provider-1, Bearer {ALICE}"),),
    (("Authorization", f"Bearer sk-provider-2, Bearer {BOB}"),),
]
SENT_ALONG = [
    (),
    (("Authorization", "Bearer sk-provider-1"),),
    (("Authorization", "Bearer sk-provider-2"),),
    (("authorization", "Bearer sk-provider-1"), ("Authorization", "Bearer sk-provider-2")),
    (("x-api-key", "sk-provider-1"),),
    (("X-API-Key", "sk-provider-2"),),
    (("api-key", "sk-provider-1"),),
    (("api-key", "sk-provider-2"),),
    (("x-goog-api-key", "sk-provider-1"),),
    (("x-goog-api-key", "sk-provider-2"),),
    (("Authorization", "Bearer ya29.one"),),
]
OTHER_FIELDS = [
    (),
    (("Helicone-User-Id", "u1"),),
    (("Helicone-User-Id", "u2"), ("Helicone-Property-Tier", "gold")),
    (("Helicone-Session-Id", "s"), ("User-Agent", "x")),
    (("Helicone-Cache-Seed", "one"),),
    (("HELICONE-CACHE-SEED", "two"), ("helicone-cache-seed", "one")),
    (("anthropic-beta", "one"),),
    (("anthropic-beta", "one"), ("Anthropic-Beta", "two")),
    (("anthropic-beta", "two"), ("Anthropic-Beta", "one")),
    (("Cookie", "session=1"),),
    (("Cookie", "session=2"),),
    (("Helicone-Moderations-Enabled", "true"),),
    (("Helicone-Prompt-Id", "p"),),
]
CHAT = [
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}]}',
    b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}\n',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":" Hi"}]}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"H\\u0069"}]}',
    b'{"messages":[{"role":"user","content":"Hi"}],"model":"gpt-4o-mini"}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"stream":true}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"stream":false}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"stream":false,"stream":true}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Ho"}],"messages":[{"role":"user","content":"Hi"}]}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"messages":[{"role":"user","content":"Ho"}]}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"mess\\u0061ges":[]}',
    b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]}',
    b'{"model":"gpt-4o","model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}]}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"seed":1}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"seed":1.0}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"seed":10e-1}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"seed":9007199254740993}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"seed":9007199254740992}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"seed":NaN}',
    b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"metadata":{"Helicone-Cache-Seed":"one"}}',
]
MESSAGE = [
    b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}',
    b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"stream":true}',
]
CONTENT = [b'{"contents":[{"parts":[{"text":"Hi"}]}]}', b'{"contents": [{"parts": [{"text": "Hi"}]}]}']

QUERIES = ["", "?alt=sse", "?key=sk-provider-1", "?key=sk-provider-2", "?api-version=1", "?api-version=2"]
GEMINI = "/v1beta/models/gemini-2.5-flash:"
TARGETS = st.one_of(
    st.tuples(st.sampled_from(["/v1/chat/completions", "/openai/v1/chat/completions"]), st.sampled_from(CHAT)),
    st.tuples(st.just("/v1/messages"), st.sampled_from(MESSAGE)),
    st.tuples(
        st.sampled_from([GEMINI + "generateContent", GEMINI + "streamGenerateContent"]), st.sampled_from(CONTENT)
    ),
)


@st.composite
def questions(draw: st.DrawFn) -> Asked:
    path, body = draw(TARGETS)
    fields = (
        *draw(st.sampled_from(GATEWAY_KEYS)),
        *draw(st.sampled_from(SENT_ALONG)),
        *draw(st.sampled_from(OTHER_FIELDS)),
    )
    return Asked(path + draw(st.sampled_from(QUERIES)), fields, body)


def neighbours(one: Asked) -> list[Asked]:
    """The question, and what differs from it in one thing only."""
    found = [one]
    path, _, query = one.target.partition("?")
    found += [Asked(path + each, one.fields, one.body) for each in QUERIES if each != f"?{query}"]
    found += [Asked(one.target, (*each, *one.fields), one.body) for each in SENT_ALONG]
    found += [Asked(one.target, (*one.fields, *each), one.body) for each in OTHER_FIELDS]
    return found


SECURITY = {"security": {"keys": {"alice": ALICE, "bob": {"key": BOB, "owner": "alice"}}}}


async def all_right(plugins: Sequence[Any], asked: Sequence[Asked], *, at_once: bool = False) -> tuple[int, int]:
    """Check that every question gets its own answer; how many were hits, and how many were asked."""
    with tempfile.TemporaryDirectory() as directory:
        factory = GatewayFactory(Path(directory))
        provider = ScriptedProvider(default=echo)
        async with factory([*plugins, "cache", "teller"], classes={"teller": Teller}, provider=provider) as running:
            expected = [await each.send(running, cached=False) for each in asked]
            if at_once:
                replies = list(await asyncio.gather(*(each.send(running, cached=True) for each in asked)))
            else:
                replies = [await each.send(running, cached=True) for each in asked]
            for each, right, reply in zip(asked, expected, replies, strict=True):
                assert (reply.status, reply.body, reply.aborted) == (right.status, right.body, right.aborted), each
            assert not running.faults
            return plugin(running).savings.total.hits, len(asked)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(questions(), min_size=2, max_size=12), st.booleans())
def test_whoever_asks_whatever_gets_their_own_answer(asked: list[Asked], at_once: bool) -> None:
    run_virtual(all_right([SECURITY], [*asked, *asked], at_once=at_once))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(questions(), st.booleans(), st.randoms(use_true_random=False))
def test_so_do_those_who_ask_nearly_the_same(one: Asked, at_once: bool, order: Any) -> None:
    asked = neighbours(one) * 2
    order.shuffle(asked)
    run_virtual(all_right([SECURITY], asked, at_once=at_once))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(SENT_ALONG), min_size=2, max_size=8), st.sampled_from(CHAT[:8]))
def test_without_gateway_keys_the_provider_credential_tells_who_asks(sent: list[Any], body: bytes) -> None:
    asked = [Asked("/v1/chat/completions", fields, body) for fields in sent]
    run_virtual(all_right([], [*asked, *asked]))


@pytest.mark.virtual_time
async def test_the_same_question_of_the_same_caller_is_a_hit_all_the_same() -> None:
    """The other half: what may be shared is."""
    fields = (("Helicone-Auth", f"Bearer {ALICE}"), ("Authorization", "Bearer sk-provider-1"))
    asked = [
        Asked("/v1/chat/completions", (*fields, ("Helicone-User-Id", "u1")), CHAT[0]),
        Asked("/v1/chat/completions", (*fields, ("Helicone-User-Id", "u2")), CHAT[1]),
        Asked("/v1/chat/completions", (*fields, ("Helicone-Property-A", "b")), CHAT[0]),
    ]
    assert await all_right([SECURITY], asked) == (2, 3)


@pytest.mark.virtual_time
async def test_every_body_is_a_question_of_its_own() -> None:
    fields = (("Helicone-Auth", f"Bearer {ALICE}"),)
    asked = [Asked("/v1/chat/completions", fields, body) for body in CHAT]
    hits, _ = await all_right([SECURITY], [*asked, *asked, *asked])
    # Two of them differ in whitespace alone. One is answered with an error, for it is no JSON.
    wrong = sum(b"NaN" in body for body in CHAT)
    assert hits == 3 * (len(CHAT) - wrong) - (len(CHAT) - 1 - wrong)


@pytest.mark.virtual_time
async def test_a_key_that_may_use_less_finds_nothing_of_one_that_may_use_more(gateway: GatewayFactory) -> None:
    keys = {"alice": ALICE, "bob": {"key": BOB, "owner": "alice", "models": ["gpt-4o-mini"]}}
    plugins = [{"security": {"keys": keys}}, {"cache": {"share": "owner", "enabled": True}}]
    async with gateway(plugins) as running:
        assert (await running.chat(model="gpt-4o", headers={"Helicone-Auth": f"Bearer {ALICE}"})).status == 200
        refused = await running.chat(model="gpt-4o", headers={"Helicone-Auth": f"Bearer {BOB}"})
        assert refused.status == 403


@pytest.mark.virtual_time
async def test_a_caller_without_a_key_gets_nothing(gateway: GatewayFactory) -> None:
    async with gateway([SECURITY, {"cache": {"enabled": True}}]) as running:
        await running.chat(headers={"Helicone-Auth": f"Bearer {ALICE}"})
        assert (await running.chat()).status == 401
        assert (await running.chat(headers={"Helicone-Auth": "Bearer another"})).status == 401
