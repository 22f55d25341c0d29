"""Where a client's path lands under a provider's base URL, and which URLs are read at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw.errors import BadRequest
from helicone_gw.upstream.provider import Provider
from helicone_gw.upstream.providers import Catalogue
from helicone_gw.upstream.urls import parse_url, target_url, upstream_url, websocket_url, with_query_key

CATALOGUE = Catalogue.build({})
CHAT = "/v1/chat/completions"


def known(name: str) -> Provider:
    provider = CATALOGUE.get(name)
    assert provider is not None
    return provider


def own(dialect: str) -> Provider:
    return Provider(name="house", title="house", dialect=dialect, base_url=None, auth="bearer")


@pytest.mark.parametrize(
    ("provider", "base_url", "path", "expected"),
    [
        # What every SDK is given, and what comes out.
        ("openai", "https://api.openai.com/v1", CHAT, "https://api.openai.com/v1/chat/completions"),
        ("openai", "http://127.0.0.1:4010", CHAT, "http://127.0.0.1:4010/chat/completions"),
        ("openai", "https://host/prefix/v1", CHAT, "https://host/prefix/v1/chat/completions"),
        ("openai", "https://host/prefix/v1/", CHAT, "https://host/prefix/v1/chat/completions"),
        ("openai", "https://host/prefix", CHAT, "https://host/prefix/chat/completions"),
        ("openai", "https://api.openai.com/v1", "/v1/files/f-1/content", "https://api.openai.com/v1/files/f-1/content"),
        ("openai", "https://h/v1beta/openai", CHAT, "https://h/v1beta/openai/chat/completions"),
        ("groq", "https://api.groq.com/openai/v1", CHAT, "https://api.groq.com/openai/v1/chat/completions"),
        ("deepseek", "https://api.deepseek.com", CHAT, "https://api.deepseek.com/chat/completions"),
        ("perplexity", "https://api.perplexity.ai", CHAT, "https://api.perplexity.ai/chat/completions"),
        ("zai", "https://api.z.ai/api/paas/v4", CHAT, "https://api.z.ai/api/paas/v4/chat/completions"),
        ("github", "https://models.github.ai/inference", CHAT, "https://models.github.ai/inference/chat/completions"),
        # A provider's own SDK through its prefix or host label sends the whole API path.
        ("groq", "https://api.groq.com/openai/v1", f"/openai{CHAT}", "https://api.groq.com/openai/v1/chat/completions"),
        ("groq", "http://127.0.0.1:4010", f"/openai{CHAT}", "http://127.0.0.1:4010/chat/completions"),
        ("openrouter", "https://openrouter.ai/api/v1", f"/api{CHAT}", "https://openrouter.ai/api/v1/chat/completions"),
        (
            "deepinfra",
            "https://api.deepinfra.com/v1/openai",
            "/v1/openai/chat/completions",
            "https://api.deepinfra.com/v1/openai/chat/completions",
        ),
        (
            "fireworks",
            "https://api.fireworks.ai/inference/v1",
            f"/inference{CHAT}",
            "https://api.fireworks.ai/inference/v1/chat/completions",
        ),
        # Paths of a provider outside the path of its base URL.
        (
            "deepinfra",
            "https://api.deepinfra.com/v1/openai",
            "/v1/inference/meta/llama",
            "https://api.deepinfra.com/v1/inference/meta/llama",
        ),
        (
            "novita",
            "https://api.novita.ai/openai/v1",
            "/v3/openai/chat/completions",
            "https://api.novita.ai/v3/openai/chat/completions",
        ),
        ("perplexity", "https://api.perplexity.ai", "/v1/embeddings", "https://api.perplexity.ai/v1/embeddings"),
        ("fireworks", "https://p/x/v1", "/v1/accounts/a/models", "https://p/x/v1/accounts/a/models"),
        # Anthropic, Gemini, Cohere, Replicate, Ollama: the path as the client sent it.
        ("anthropic", "https://api.anthropic.com", "/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("anthropic", "https://host/prefix/v1", "/v1/messages", "https://host/prefix/v1/messages"),
        (
            "anthropic",
            "https://gateway.ai.cloudflare.com/v1/acc/gw/anthropic",
            "/v1/messages",
            "https://gateway.ai.cloudflare.com/v1/acc/gw/anthropic/v1/messages",
        ),
        (
            "gemini",
            "https://generativelanguage.googleapis.com",
            "/v1beta/models/g:generateContent",
            "https://generativelanguage.googleapis.com/v1beta/models/g:generateContent",
        ),
        ("gemini", "https://g.example", "/v1/models/g:countTokens", "https://g.example/v1/models/g:countTokens"),
        (
            "gemini",
            "https://g.example/v1beta",
            "/v1/models/g:countTokens",
            "https://g.example/v1beta/models/g:countTokens",
        ),
        ("gemini", "https://g.example/v1beta", "/upload/v1beta/files", "https://g.example/upload/v1beta/files"),
        ("cohere", "https://api.cohere.com", "/v2/chat", "https://api.cohere.com/v2/chat"),
        ("cohere", "https://host/v2", "/v2/chat", "https://host/v2/chat"),
        (
            "replicate",
            "https://api.replicate.com",
            "/v1/models/owner/name/predictions",
            "https://api.replicate.com/v1/models/owner/name/predictions",
        ),
        ("ollama", "http://127.0.0.1:11434", "/api/chat", "http://127.0.0.1:11434/api/chat"),
        ("ollama", "http://127.0.0.1:11434/api", "/api/chat", "http://127.0.0.1:11434/api/chat"),
        ("ollama", "http://127.0.0.1:11434", CHAT, "http://127.0.0.1:11434/v1/chat/completions"),
        # Azure.
        ("azure", "https://r.openai.azure.com", CHAT, "https://r.openai.azure.com/openai/v1/chat/completions"),
        ("azure", "https://r.openai.azure.com/openai", CHAT, "https://r.openai.azure.com/openai/v1/chat/completions"),
        (
            "azure",
            "https://r.openai.azure.com/openai/v1",
            CHAT,
            "https://r.openai.azure.com/openai/v1/chat/completions",
        ),
        (
            "azure",
            "https://r.openai.azure.com/openai/deployments/gpt",
            CHAT,
            "https://r.openai.azure.com/openai/deployments/gpt/chat/completions",
        ),
        (
            "azure",
            "https://r.openai.azure.com",
            "/openai/deployments/gpt/chat/completions",
            "https://r.openai.azure.com/openai/deployments/gpt/chat/completions",
        ),
        (
            "azure",
            "https://r.services.ai.azure.com",
            "/anthropic/v1/messages",
            "https://r.services.ai.azure.com/anthropic/v1/messages",
        ),
    ],
)
def test_upstream_url(provider: str, base_url: str, path: str, expected: str) -> None:
    assert upstream_url(known(provider), base_url, path, "") == expected


def test_the_query_is_kept_byte_for_byte() -> None:
    query = "limit=2&after=a%2Fb&include[]=x&q=a+b&empty="
    assert upstream_url(known("openai"), "https://api.openai.com/v1", "/v1/files", query).endswith(f"/v1/files?{query}")


def test_what_would_break_the_request_line_is_escaped() -> None:
    url = upstream_url(known("openai"), "https://h/v1", "/v1/models/a b?c#d\\é", "q=a b#c")
    assert url == "https://h/v1/models/a%20b%3Fc%23d%5C%C3%A9?q=a%20b%23c"


def test_escapes_of_the_client_stay_as_they_are() -> None:
    assert upstream_url(known("openai"), "https://h/v1", "/v1/models/a%2Fb:x", "") == "https://h/v1/models/a%2Fb:x"


def test_an_api_version_is_added_to_azures_dated_api_only_and_only_once() -> None:
    azure = replace(known("azure"), api_version="2024-10-21")
    base, dated = "https://r.openai.azure.com", "/openai/deployments/gpt/chat/completions"
    assert upstream_url(azure, base, dated, "").endswith("completions?api-version=2024-10-21")
    assert upstream_url(azure, base, dated, "x=1").endswith("?x=1&api-version=2024-10-21")
    assert upstream_url(azure, base, dated, "api-version=2023-05-15").endswith("?api-version=2023-05-15")
    assert upstream_url(azure, base, CHAT, "").endswith("/openai/v1/chat/completions")


@pytest.mark.parametrize("path", ["/v1/../secret", "/v1/./x", "/v1/%2e%2e/x", "/v1/%2E./x", "/v1/files/.."])
def test_dot_segments_cannot_leave_the_base_path(path: str) -> None:
    with pytest.raises(BadRequest):
        upstream_url(known("openai"), "https://host/tenant/v1", path, "")


SEGMENT = st.from_regex(r"\A(?!v[0-9])[a-z0-9_-]{1,8}\Z")
VERSION = st.sampled_from(["v1", "v2", "v1beta", "v1beta1", "v1alpha", "v3"])
PREFIX = st.lists(SEGMENT, max_size=3)
DIALECT = st.sampled_from(["openai", "anthropic", "gemini", "cohere", "vertex", "bedrock", "replicate", "ollama"])


@settings(max_examples=100)
@given(DIALECT, PREFIX, st.none() | VERSION, VERSION, st.lists(SEGMENT, min_size=1, max_size=4))
def test_the_base_path_is_never_lost_and_its_version_never_doubled(
    dialect: str, prefix: list[str], version: str | None, asked: str, rest: list[str]
) -> None:
    base = [*prefix, *([version] if version else [])]
    path = "/" + "/".join([asked, *rest])
    url = upstream_url(own(dialect), "/".join(["https://host", *base]), path, "")
    segments = url.removeprefix("https://host").split("/")[1:]
    assert segments[: len(base)] == base
    assert segments[-len(rest) :] == rest
    if version or (dialect == "openai" and asked == "v1"):
        assert segments == [*base, *rest]
    else:
        assert segments == [*base, asked, *rest]


class TestTargetURL:
    @pytest.mark.parametrize(
        ("target", "path", "expected"),
        [
            ("https://api.openai.com", CHAT, "https://api.openai.com/v1/chat/completions"),
            ("https://api.openai.com/v1", CHAT, "https://api.openai.com/v1/chat/completions"),
            ("https://api.groq.com", CHAT, "https://api.groq.com/openai/v1/chat/completions"),
            ("https://api.groq.com", f"/openai{CHAT}", "https://api.groq.com/openai/v1/chat/completions"),
            ("https://api.groq.com/openai", CHAT, "https://api.groq.com/openai/v1/chat/completions"),
            ("https://api.deepinfra.com/v1/openai", CHAT, "https://api.deepinfra.com/v1/openai/chat/completions"),
            ("https://api.anthropic.com", "/v1/messages", "https://api.anthropic.com/v1/messages"),
            ("https://eu.api.openai.com", CHAT, "https://eu.api.openai.com/v1/chat/completions"),
            ("https://r.openai.azure.com", CHAT, "https://r.openai.azure.com/openai/v1/chat/completions"),
            (
                "https://r.openai.azure.com/openai/deployments/g",
                CHAT,
                "https://r.openai.azure.com/openai/deployments/g/chat/completions",
            ),
            ("http://127.0.0.1:4010", CHAT, "http://127.0.0.1:4010/v1/chat/completions"),
            ("https://host/some/prefix", CHAT, "https://host/some/prefix/v1/chat/completions"),
            ("https://host/some/prefix/v1/", CHAT, "https://host/some/prefix/v1/chat/completions"),
        ],
    )
    def test_keeps_the_clients_path_and_the_targets(self, target: str, path: str, expected: str) -> None:
        assert target_url(CATALOGUE.provider_for_url(target), target, path, "") == expected

    def test_keeps_the_query(self) -> None:
        assert target_url(None, "https://host", "/v1/x", "a=1") == "https://host/v1/x?a=1"


class TestParse:
    @pytest.mark.parametrize(
        ("text", "canonical"),
        [
            ("https://API.OpenAI.com", "https://api.openai.com"),
            ("HTTPS://api.openai.com.:443/v1/", "https://api.openai.com/v1"),
            ("http://localhost:80", "http://localhost"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
            ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("http://my_service:8000", "http://my_service:8000"),
        ],
    )
    def test_one_canonical_spelling(self, text: str, canonical: str) -> None:
        assert parse_url(text).url == canonical

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "api.openai.com",
            "//api.openai.com",
            "ftp://host",
            "file:///etc/passwd",
            "https://",
            "https:///path",
            "https://user@host",
            "https://user:pw@host",
            "https://api.openai.com@evil.example",
            "https://host\\@evil.example",
            "https://host\\.evil.example",
            "https://host#@evil.example",
            "https://host/%2e%2e/x",
            "https://host/../x",
            "https://ho%73t",
            "https://host%00.example",
            "https://host\x00",
            "https://host\n.example",
            "https://host\t",
            " https://host",
            "https://ho st",
            "https://2130706433",
            "https://0x7f000001",
            "https://0x7f.0.0.1",
            "https://0177.0.0.1",
            "https://127.1",
            "https://127.0.0.1.1",
            "https://1.2.3.256",
            "https://010.0.0.1",
            "https://host.0x1",
            "https://[::1",
            "https://[::1%25eth0]",
            "https://[fe80::1%eth0]",
            "https://::1",
            "https://host:",
            "https://host:0",
            "https://host:08",
            "https://host:65536",
            "https://host:port",
            "https://host..example",
            "https://.example",
            "https://-host.example",
            "https://" + "a" * 64 + ".example",
            "https://example.com/" + "a" * 3000,
            "https://ⓐpi.openai.com",
            "https://api。openai.com",
            "https://bücher.example",
        ],
    )
    def test_spellings_that_parsers_disagree_on_are_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"\bits?\b"):
            parse_url(text)

    @settings(max_examples=100)
    @given(st.text(max_size=60) | st.from_regex(r"https?://[a-zA-Z0-9.:@%\[\]\\/?#-]{0,40}"))
    def test_never_anything_but_a_value_error_and_parsing_is_idempotent(self, text: str) -> None:
        try:
            parsed = parse_url(text)
        except ValueError:
            return
        assert parse_url(parsed.url) == parsed


def test_websocket_scheme() -> None:
    assert websocket_url("https://h/v1/realtime?model=x") == "wss://h/v1/realtime?model=x"
    assert websocket_url("http://h") == "ws://h"
    assert websocket_url("wss://h") == "wss://h"


def test_query_key_replaces_any_other() -> None:
    assert with_query_key("", "a b") == "key=a%20b"
    assert with_query_key("alt=sse&key=old", "new") == "alt=sse&key=new"
    assert with_query_key("monkey=1", "new") == "monkey=1&key=new"
