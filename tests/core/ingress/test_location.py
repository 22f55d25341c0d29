"""Where a request goes, by its address alone: the rows of the order in which modes are decided."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helicone_gw.headers import Headers
from helicone_gw.ingress.location import Location, locate

PROVIDERS = {
    "openai": "openai",
    "oai": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "google": "gemini",
    "groq": "groq",
    "openrouter": "openrouter",
    "deepinfra": "deepinfra",
    "perplexity": "perplexity",
    "azure": "azure",
    "cohere": "cohere",
    "replicate": "replicate",
    "vertex": "vertex",
    "bedrock": "bedrock",
    "x": "xai",
}
DIALECTS = {
    **dict.fromkeys(("openai", "groq", "openrouter", "deepinfra", "perplexity", "azure", "xai"), "openai"),
    "anthropic": "anthropic",
    "gemini": "gemini",
    "vertex": "vertex",
    "cohere": "cohere",
    "replicate": "replicate",
    "bedrock": "bedrock",
}
ANTHROPIC = {"anthropic-version": "2026-10-21"}
GOOGLE = {"x-goog-api-key": "AIza-test"}
PAGE = {"accept": "text/html,application/xhtml+xml"}


def place(
    request: str,
    headers: dict[str, str] | None = None,
    host: str = "127.0.0.1:8787",
    domains: tuple[str, ...] = ("gw.example.com",),
) -> Location:
    method, _, target = request.partition(" ")
    path, _, query = target.partition("?")
    return locate(
        method,
        host,
        path.encode("latin-1"),
        query.encode(),
        Headers(headers or {}),
        providers=PROVIDERS,
        dialects=DIALECTS,
        domains=domains,
    )


def rows(table: str) -> list[tuple[str | None, ...]]:
    """Rows of a table whose first two columns are method and target; ``-`` is none."""
    lines = (line.split() for line in table.strip().splitlines())
    return [(f"{first} {second}", *(None if cell == "-" else cell for cell in rest)) for first, second, *rest in lines]


def summary(location: Location) -> tuple[str, str | None, str, str, str]:
    return location.kind, location.provider, location.dialect, location.operation, location.path


# 1. The gateway's own paths, on any host


@pytest.mark.parametrize(
    ("request_line", "operation"),
    [
        ("GET /healthz", "health"),
        ("HEAD /healthz", "health"),
        ("GET /readyz", "health"),
        ("GET /metrics", "metrics"),
        ("POST /oai/v1/log", "log"),
        ("POST /anthropic/v1/log", "log"),
        ("POST /googleapis/v1/log", "log"),
        ("POST /custom/v1/log", "log"),
        ("OPTIONS /custom/v1/log", "log"),
        ("POST /v1/trace/custom/v1/log", "log"),
        ("POST /v1/trace/custom/log", "log"),
        ("POST /v1/trace/custom/log/typed", "log"),
        ("POST /v1/trace/log", "log"),
        ("POST /v1/trace/log-python", "log"),
        ("POST /v1/log/request", "log"),
        ("POST /v1/request/query", "rest"),
        ("POST /v1/request/query-clickhouse", "rest"),
        ("GET /v1/request/3f0c", "rest"),
        ("POST /v1/request/3f0c/feedback", "rest"),
        ("POST /v1/request/3f0c/score", "rest"),
        ("PUT /v1/request/3f0c/property", "rest"),
        ("POST /v1/webhook/request/3f0c/score", "rest"),
        ("POST /v1/feedback", "rest"),
        ("POST /feedback", "rest"),
        ("POST /oai/v1/feedback", "rest"),
        ("POST /v1/session/query", "rest"),
        ("GET /v1/session/has-session", "rest"),
        ("POST /v1/user/metrics/query", "rest"),
        ("POST /v1/property/plan/search", "rest"),
        ("POST /v1/dashboard/scores/query", "rest"),
        ("GET /v1/public/model-registry/models", "rest"),
        ("POST /v1/helicone-sql/execute", "rest"),
        ("POST /v1/prompt-2025", "rest"),
        ("POST /v1/prompt-2025/query/production-version", "rest"),
        ("POST /v2/prompt-2025/query/version", "rest"),
        ("GET /v1/budgets", "rest"),
        ("GET /v1/ratelimit", "rest"),
        ("DELETE /v1/cache", "rest"),
        ("GET /v1/cache/stats", "rest"),
        ("GET /v1/cache/entries/3f0c", "rest"),
        ("POST /v1/webhooks", "rest"),
        ("DELETE /v1/webhooks/7", "rest"),
        ("GET /v1/alert/query", "rest"),
        ("POST /v1/evaluator", "rest"),
        ("DELETE /alert/7", "rest"),
        ("POST /v1/request/query/", "rest"),
        ("GET /dashboard", "dashboard"),
        ("GET /dashboard/requests/3f0c", "dashboard"),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1:8787", "oai.helicone.ai", "gateway.hconeai.com"])
def test_own_paths_are_answered_here_on_any_host(request_line: str, operation: str, host: str) -> None:
    location = place(request_line, host=host)

    assert (location.kind, location.operation) == ("local", operation)
    assert location.path == request_line.split()[1]


def test_the_root_is_the_dashboard_for_a_browser_only() -> None:
    assert summary(place("GET /", PAGE))[::3] == ("local", "dashboard")
    assert place("GET /", {"accept": "application/json"}).kind == "unknown"
    assert place("POST /", PAGE).kind == "unknown"


@pytest.mark.parametrize(
    "request_line",
    ["GET /healthz//", "GET /healthz/x", "POST /healthz", "GET /%68ealthz", "GET //nosuch/healthz", "GET /feedback"],
)
def test_only_the_exact_method_and_path_is_ours(request_line: str) -> None:
    assert place(request_line).kind == "unknown"


def test_a_log_path_under_a_provider_prefix_is_the_providers_with_another_method() -> None:
    assert summary(place("GET /oai/v1/log"))[:2] == ("gateway", "openai")


# 2. The host's first label


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("oai.helicone.ai", "openai"),
        ("OAI.Helicone.AI:443", "openai"),
        ("oai.helicone.ai.", "openai"),
        ("oai.eu.helicone.ai", "openai"),
        ("oai.hconeai.com", "openai"),
        ("groq.helicone.ai", "groq"),
        ("x.helicone.ai", "xai"),
        ("groq.gw.example.com:8787", "groq"),
    ],
)
def test_a_host_label_names_the_provider(host: str, provider: str) -> None:
    location = place("POST /v1/chat/completions", host=host)

    assert summary(location) == ("gateway", provider, "openai", "chat", "/v1/chat/completions")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8787",
        "localhost",
        "[::1]:8787",
        "oai.example.com",  # not a domain of ours
        "oaihelicone.ai",
        "oai.helicone.ai.evil.com",
        "myoai.helicone.ai",  # labels are compared whole
        "oai-eu.helicone.ai",
        "gw.example.com",  # listed itself: no label
        "ai-gateway.helicone.ai",
        "api.helicone.ai",
        "eu.api.helicone.ai",
        "helicone.ai",
        "",
        "[::1",
        "user@oai.helicone.ai",
    ],
)
def test_any_other_host_names_none(host: str) -> None:
    assert summary(place("POST /v1/chat/completions", host=host)) == (
        "gateway",
        None,
        "openai",
        "chat",
        "/v1/chat/completions",
    )


def test_the_gateway_label_wants_a_target() -> None:
    location = place("POST /v1/chat/completions", host="gateway.helicone.ai")

    assert (location.needs_target_url, location.provider, location.implied_provider) == (True, None, "")


def test_a_listed_domain_that_is_called_gateway_is_just_the_gateway() -> None:
    location = place("POST /v1/chat/completions", host="gateway.corp", domains=("gateway.corp",))

    assert not location.needs_target_url


def test_the_ai_gateway_host_takes_a_chat_at_its_root() -> None:
    location = place("POST /", host="ai-gateway.helicone.ai")

    assert summary(location) == ("gateway", None, "openai", "chat", "/v1/chat/completions")
    assert place("POST /", host="localhost").kind == "unknown"


def test_the_host_label_comes_before_the_path_prefix() -> None:
    location = place("POST /openai/v1/chat/completions", host="groq.helicone.ai")

    assert summary(location) == ("gateway", "groq", "openai", "chat", "/v1/chat/completions")


# 3. The path prefix


@pytest.mark.parametrize(
    ("request_line", "provider", "dialect", "operation", "path"),
    rows(
        """
        POST /openai/v1/chat/completions openai openai chat /v1/chat/completions
        POST /openai/chat/completions openai openai chat /v1/chat/completions
        POST /oai/v1/responses openai openai responses /v1/responses
        POST /openai//v1//chat/completions/ openai openai chat /v1/chat/completions
        GET /openai/files openai openai files /v1/files
        GET /openai/v1/files/f-1/content openai openai files /v1/files/f-1/content
        POST /openai/v1/vector_stores/v%2F1/files openai openai vector_stores /v1/vector_stores/v%2F1/files
        PATCH /openai/v1/some/new/thing openai openai other /v1/some/new/thing
        POST /anthropic/v1/messages anthropic anthropic messages /v1/messages
        POST /anthropic/messages anthropic anthropic messages /v1/messages
        GET /anthropic/v1/models anthropic anthropic models /v1/models
        GET /anthropic/v1/files anthropic anthropic files /v1/files
        POST /anthropic/v1/chat/completions anthropic openai chat /v1/chat/completions
        POST /groq/openai/v1/chat/completions groq openai chat /v1/chat/completions
        GET /groq/openai/v1/batches/b-1 groq openai batches /v1/batches/b-1
        POST /groq/v1/messages groq anthropic messages /v1/messages
        POST /openrouter/api/v1/chat/completions openrouter openai chat /v1/chat/completions
        POST /deepinfra/v1/openai/chat/completions deepinfra openai chat /v1/chat/completions
        POST /perplexity/chat/completions perplexity openai chat /v1/chat/completions
        POST /gemini/v1beta/models/g:generateContent gemini gemini generate_content /v1beta/models/g:generateContent
        POST /gemini/models/g:generateContent gemini gemini generate_content /v1beta/models/g:generateContent
        POST /google/v1/models/g:generateContent gemini gemini generate_content /v1/models/g:generateContent
        GET /gemini/v1beta/models gemini gemini models /v1beta/models
        POST /gemini/v1beta/openai/chat/completions gemini openai chat /v1/chat/completions
        POST /gemini/upload/v1beta/files gemini gemini files /upload/v1beta/files
        GET /gemini/files/f1 gemini gemini files /v1beta/files/f1
        POST /v1/gateway/oai/v1/chat/completions openai openai chat /v1/chat/completions
        POST /v1/gateway/anthropic/v1/messages anthropic anthropic messages /v1/messages
        """
    ),
)
def test_a_prefix_goes_straight_to_the_provider(
    request_line: str, provider: str, dialect: str, operation: str, path: str
) -> None:
    location = place(request_line)

    assert summary(location) == ("gateway", provider, dialect, operation, path)
    assert not location.verbatim
    assert location.implied_provider == provider


@pytest.mark.parametrize(
    ("request_line", "provider", "dialect", "operation", "model"),
    rows(
        """
        POST /cohere/v2/chat cohere cohere chat -
        POST /cohere/v1/chat cohere cohere other -
        GET /cohere/v2/chat cohere cohere other -
        POST /cohere/v1/rerank cohere cohere rerank -
        POST /replicate/v1/models/meta/llama/predictions replicate replicate create_prediction meta/llama
        POST /replicate/v1/predictions replicate replicate create_prediction -
        POST /bedrock/model/anthropic.claude%3A0/converse bedrock bedrock converse anthropic.claude:0
        POST /bedrock/model/anthropic.claude%3A0/invoke bedrock bedrock invoke anthropic.claude:0
        POST /bedrock/model/anthropic.claude%3A0/other bedrock bedrock other -
        POST /vertex/v1/projects/p/locations/l/publishers/anthropic/models/c:rawPredict vertex vertex messages c
        POST /vertex/v1/projects/p/locations/l/publishers/meta/models/c:rawPredict vertex vertex projects -
        POST /vertex/v1/projects/p/locations/l/endpoints/4:generateContent vertex gemini generate_content 4
        POST /vertex/v1/projects/p/locations/l/endpoints/4:predict vertex vertex projects -
        POST /vertex/v1/projects/p/models/g-1:streamGenerateContent vertex gemini stream_generate_content g-1
        POST /azure/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21 azure openai chat my-gpt
        POST /azure/openai/responses?api-version=2025-04-01-preview azure openai responses -
        POST /azure/openai/files?api-version=2024-10-21 azure openai other -
        GET /azure/openai/files?api-version=2024-10-21 azure openai other -
        POST /openrouter/v3/thing openrouter openai other -
        """
    ),
)
def test_a_path_that_is_not_of_our_dialects_passes_as_it_is(
    request_line: str, provider: str, dialect: str, operation: str, model: str | None
) -> None:
    sent = "/" + request_line.partition("?")[0].split()[1].split("/", 2)[2]

    location = place(request_line)

    assert summary(location) == ("gateway", provider, dialect, operation, sent)
    assert location.verbatim
    assert location.model == model


def test_a_provider_of_another_dialect_takes_our_operations_too() -> None:
    location = place("POST /cohere/v1/chat/completions")

    assert summary(location) == ("gateway", "cohere", "openai", "chat", "/v1/chat/completions")
    assert not location.verbatim


@pytest.mark.parametrize("request_line", ["GET /openai", "GET /openai/", "POST /v1/gateway/oai"])
def test_a_prefix_alone_is_nothing(request_line: str) -> None:
    assert place(request_line).kind == "unknown"


@pytest.mark.parametrize(
    ("request_line", "dialect", "operation", "path"),
    rows(
        """
        POST /gateway/v1/chat/completions openai chat /v1/chat/completions
        POST /gateway/openai/v1/chat/completions openai chat /openai/v1/chat/completions
        POST /gateway/chat/completions openai chat /chat/completions
        POST /gateway/v1/messages anthropic messages /v1/messages
        POST /gateway/openai/deployments/d/embeddings openai embeddings /openai/deployments/d/embeddings
        POST /gateway/v1/projects/p/models/g:countTokens gemini count_tokens /v1/projects/p/models/g:countTokens
        GET /gateway/what/ever openai other /what/ever
        """
    ),
)
def test_what_goes_to_a_target_url_keeps_the_clients_path(
    request_line: str, dialect: str, operation: str, path: str
) -> None:
    location = place(request_line)

    assert summary(location) == ("gateway", None, dialect, operation, path)
    assert location.needs_target_url
    assert location.verbatim


def test_a_router_is_named_in_the_path() -> None:
    location = place("POST /router/my-route/v1/chat/completions")

    assert location.router == "my-route"
    assert summary(location) == ("gateway", None, "openai", "chat", "/v1/chat/completions")
    assert place("POST /router/my-route/chat/completions").path == "/v1/chat/completions"
    assert place("POST /router").kind == "unknown"
    assert place("POST /router//").kind == "unknown"


def test_the_older_gateways_addresses() -> None:
    location = place("POST /ai/v1/chat/completions")
    assert (location.kind, location.path, location.provider) == ("gateway", "/v1/chat/completions", None)
    assert place("POST /ai/chat/completions").path == "/v1/chat/completions"
    assert place("POST /ai").kind == "unknown"
    forced = {"helicone-forced-routing": "anthropic"}
    for path in ("/ai/v1/messages", "/router/mine/v1/messages"):
        location = place(f"POST {path}", forced)
        assert (location.provider, location.router, location.path) == ("anthropic", None, "/v1/messages")
    assert place("POST /v1/chat/completions", forced).provider is None, "only where that gateway had it"
    assert place("POST /ai/v1/messages", {"helicone-forced-routing": "nosuch"}).kind == "unknown"


def test_an_unknown_alias_after_v1_gateway_is_not_guessed() -> None:
    assert place("POST /v1/gateway/nosuch/v1/chat/completions").kind == "unknown"


# 4. The gateway's own operations


@pytest.mark.parametrize("version", ["/v1", ""])
@pytest.mark.parametrize(
    ("method", "path", "dialect", "operation", "json"),
    [
        ("POST", "/chat/completions", "openai", "chat", True),
        ("GET", "/chat/completions", "openai", "chat.other", False),
        ("GET", "/chat/completions/c-1/messages", "openai", "chat.other", False),
        ("POST", "/completions", "openai", "completions", True),
        ("POST", "/embeddings", "openai", "embeddings", True),
        ("POST", "/responses", "openai", "responses", True),
        ("GET", "/responses/r-1", "openai", "responses.other", False),
        ("DELETE", "/responses/r-1", "openai", "responses.other", False),
        ("POST", "/responses/r-1/cancel", "openai", "responses.other", False),
        ("GET", "/responses/r-1/input_items", "openai", "responses.other", False),
        ("POST", "/responses/compact", "openai", "responses.other", True),
        ("POST", "/messages", "anthropic", "messages", True),
        ("POST", "/messages/count_tokens", "anthropic", "count_tokens", True),
        ("POST", "/messages/batches", "anthropic", "message_batches", False),
        ("GET", "/messages/batches/b-1/results", "anthropic", "message_batches", False),
        ("GET", "/models", "openai", "models", False),
        ("POST", "/moderations", "openai", "moderations", True),
        ("POST", "/images/generations", "openai", "images", True),
        ("POST", "/images/edits", "openai", "images", False),
        ("POST", "/audio/speech", "openai", "audio", True),
        ("POST", "/audio/transcriptions", "openai", "audio", False),
        ("POST", "/rerank", "openai", "rerank", True),
    ],
)
def test_own_operations_with_and_without_version(
    version: str, method: str, path: str, dialect: str, operation: str, json: bool
) -> None:
    location = place(f"{method} {version}{path}")

    assert summary(location) == ("gateway", None, dialect, operation, f"/v1{path}")
    assert location.json is json
    assert location.client_path == version + path


@pytest.mark.parametrize(("version", "canonical"), [("/v1", "/v1"), ("/v1beta", "/v1beta"), ("", "/v1beta")])
@pytest.mark.parametrize(
    ("verb", "operation", "stream"),
    [
        ("generateContent", "generate_content", False),
        ("streamGenerateContent", "stream_generate_content", True),
        ("countTokens", "count_tokens", False),
        ("embedContent", "embed_content", False),
        ("batchEmbedContents", "batch_embed_contents", False),
    ],
)
def test_gemini_operations_have_model_and_stream_in_the_path(
    version: str, canonical: str, verb: str, operation: str, stream: bool
) -> None:
    location = place(f"POST {version}/models/gemini%2D2.0:{verb}")

    assert summary(location) == ("gateway", None, "gemini", operation, f"{canonical}/models/gemini%2D2.0:{verb}")
    assert (location.model, location.model_in, location.stream) == ("gemini-2.0", "path", stream)


def test_a_model_with_slashes_and_colons() -> None:
    assert place("POST /models/gemini/g-1:generateContent").model == "gemini/g-1"
    assert place("GET /v1/models/meta-llama/Llama-3").model == "meta-llama/Llama-3"
    assert place("GET /v1/models/meta-llama%2FLlama-3").path == "/v1/models/meta-llama%2FLlama-3"
    tuned = place("GET /v1/models/ft:gpt-4o:acme::a1")
    assert (tuned.operation, tuned.model) == ("models", "ft:gpt-4o:acme::a1")
    assert place("DELETE /v1/models/ft:gpt-4o:acme::a1").operation == "models.other"


def test_models_come_in_the_shape_of_the_asking_sdk() -> None:
    assert place("GET /v1/models").dialect == "openai"
    assert place("GET /v1/models", ANTHROPIC).dialect == "anthropic"
    assert place("GET /models/m-1", ANTHROPIC).dialect == "anthropic"
    assert place("GET /v1/models", GOOGLE).dialect == "gemini"
    assert place("GET /v1beta/models").dialect == "gemini"


def test_realtime_is_a_websocket_with_the_model_in_the_query() -> None:
    location = place("GET /v1/realtime?intent=x&model=gpt-realtime%2B1")

    assert (location.operation, location.websocket, location.model) == ("realtime", True, "gpt-realtime+1")
    assert place("GET /v1/responses").websocket
    assert not place("POST /v1/chat/completions").websocket


def test_streams_that_the_query_asks_for() -> None:
    assert place("GET /v1/responses/r-1?stream=true").stream is True
    assert place("GET /v1/responses/r-1?stream=false").stream is None
    assert place("POST /v1/models/g:generateContent?alt=sse").stream is True
    assert place("POST /v1/chat/completions").stream is None


# 5. Anything else under /v1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/files", "files"),
        ("/v1/uploads/u-1/parts", "uploads"),
        ("/v1/batches", "batches"),
        ("/v1/fine_tuning/jobs", "fine_tuning"),
        ("/v1/vector_stores/v/search", "vector_stores"),
        ("/v1/assistants", "assistants"),
        ("/v1/threads/t/messages", "threads"),
        ("/v1/conversations/c", "conversations"),
        ("/v1/containers", "containers"),
        ("/v1/evals", "evals"),
        ("/v1/not/invented/yet", "other"),
        ("/v1//odd//path/", "other"),
    ],
)
def test_other_paths_under_v1_go_unchanged_to_the_dialects_provider(method: str, path: str, operation: str) -> None:
    assert summary(place(f"{method} {path}")) == ("gateway", None, "openai", operation, path)
    assert place(f"{method} {path}", ANTHROPIC).implied_provider == "anthropic"
    assert place(f"{method} {path}", GOOGLE).implied_provider == "gemini"
    assert not place(f"{method} {path}").json


def test_geminis_own_versions_are_geminis() -> None:
    assert summary(place("POST /upload/v1beta/files")) == ("gateway", None, "gemini", "files", "/upload/v1beta/files")
    assert summary(place("GET /v1beta/cachedContents/c"))[2:4] == ("gemini", "cachedContents")


# 6. Nothing


@pytest.mark.parametrize(
    "request_line", ["GET /", "GET /v1", "GET /v1/", "GET /nosuch", "POST /v2/chat", "GET /embeddings"]
)
def test_else_there_is_nothing_and_the_dialect_is_still_known(request_line: str) -> None:
    location = place(request_line)

    assert (location.kind, location.dialect) == ("unknown", "openai")
    assert location.reason
    assert place(request_line, ANTHROPIC).dialect == "anthropic"
    assert place(request_line, GOOGLE).dialect == "gemini"


# Keys, dots, slashes


def test_a_key_in_the_path_is_taken_out() -> None:
    location = place("POST /sk-helicone-aaaaaaa-bbbbbbb/v1/chat/completions", host="gateway.helicone.ai")

    assert location.path_key == "sk-helicone-aaaaaaa-bbbbbbb"
    assert location.path == "/v1/chat/completions"
    assert "sk-helicone" not in repr(location)
    assert place("POST /openai/pk%2Dhelicone-x/v1/chat/completions").path_key == "pk-helicone-x"


@pytest.mark.parametrize(
    "path",
    [
        "/openai/../healthz",
        "/openai/v1/..",
        "/openai/./v1/files",
        "/openai/%2e%2e/x",
        "/openai/%2E./x",
        "/v1/files/..%2f..%2fadmin",
        "/v1/files/%252e%252e/x",
        "/v1/files/..%5cx",
        "/v1/files\\..\\x",
        "/v1/files/..;a=b/x",
        "/v1/files/%25252525252e",
    ],
)
def test_dot_segments_are_refused_in_every_disguise(path: str) -> None:
    location = place(f"GET {path}")

    assert location.kind == "unknown"
    assert location.reason


def test_dots_inside_a_name_are_harmless() -> None:
    assert place("GET /v1/files/a..b/.well-known/report.v1.jsonl").path == "/v1/files/a..b/.well-known/report.v1.jsonl"


def test_a_path_never_looks_like_another_host() -> None:
    assert place("POST //v1/chat/completions").path == "/v1/chat/completions"
    assert place("GET /openai//evil.example/x").path == "/v1/evil.example/x"
    assert place("GET /cohere///evil.example/x").path == "/evil.example/x"
    assert place("GET /gateway//evil.example/x").path == "/evil.example/x"


def test_bytes_that_no_uri_may_hold_are_encoded_and_nothing_else() -> None:
    assert place("GET /v1/files/caf\xe9 #1").path == "/v1/files/caf%E9%20%231"
    assert place("GET /v1/files/%7Ea+b@c!").path == "/v1/files/%7Ea+b@c!"


def test_a_target_that_is_not_a_path_is_unknown() -> None:
    assert place("OPTIONS *").kind == "unknown"
    assert place("GET http://example.com/v1/files").kind == "unknown"


SEGMENTS = (
    *("v1", "v1beta", "openai", "oai", "gateway", "router", "ai", "groq", "gemini", "cohere", "upload", "deployments"),
    *("models", "g:generateContent", "chat", "completions", "dashboard", "..", ".", "%2e%2e", "%2F", "%", "%zz", "*"),
    *("sk-helicone-abc", "pk%2dhelicone-x", "a%2Fsk-helicone-q", "", "\\", "é"),
)
paths = st.one_of(
    st.lists(st.sampled_from(SEGMENTS), max_size=7).map(lambda parts: ("/" + "/".join(parts)).encode()),
    st.binary(max_size=60),
    st.binary(max_size=60).map(lambda tail: b"/" + tail),
)


@settings(max_examples=120)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "OPTIONS", ""]),
    host=st.one_of(
        st.sampled_from(["localhost", "oai.helicone.ai", "gateway.helicone.ai", "[::1]:1"]), st.text(max_size=20)
    ),
    path=paths,
    query=st.binary(max_size=30),
    headers=st.sampled_from([{}, ANTHROPIC, GOOGLE, PAGE, {"helicone-forced-routing": "groq"}]),
)
@example("GET", "", b"/", b"\xff=%", {})
@example("POST", "gateway.helicone.ai", b"/..%2fsk-helicone-abc", b"", {})
def test_locate_never_raises_and_lets_nothing_escape(
    method: str, host: str, path: bytes, query: bytes, headers: dict[str, str]
) -> None:
    location = locate(
        method, host, path, query, Headers(headers), providers=PROVIDERS, dialects=DIALECTS, domains=()
    )  # fmt: skip

    for text in (location.path, location.client_path):
        assert text.startswith("/")
        assert not text.startswith("//")
        assert text.isascii()
        assert not set(text) & set("?#\\ \r\n\0")
        pieces = unquote_to_bytes(text).replace(b"\\", b"/").split(b"/")
        assert not any(piece.startswith((b"sk-helicone", b"pk-helicone")) for piece in pieces)
        if location.kind == "gateway":
            assert not {b".", b".."} & set(pieces)
    assert "helicone-abc" not in repr(location)
    assert location.query.isascii()
    assert (location.reason is None) == (location.kind != "unknown")
    if location.kind == "gateway" and not location.verbatim:
        assert location.path.split("/")[1] in ("v1", "v1beta", "v1alpha", "upload")
