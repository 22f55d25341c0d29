"""Calls to clouds: Azure's deployments, Bedrock's signatures, Vertex' projects; the account signs nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import AuthenticationFailed, Exchange, Headers, ProviderCredential, Request, Secret, Target
from helicone_gw.config import ProviderConfig
from helicone_gw.config.providers import AwsConfig, DeploymentConfig, GoogleConfig
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw.model import UpstreamRequest
from helicone_gw.upstream.addresses import CheckedTarget
from helicone_gw.upstream.prepare import Preparer
from helicone_gw.upstream.providers import Catalogue

AZURE = "https://mine.openai.azure.com"
AWS = AwsConfig(access_key_id=Secret("AKIDEXAMPLE"), secret_access_key=Secret("very-secret"))
CONVERSE = "/model/amazon.nova-pro-v1%3A0/converse"


def exchange(path: str = "/v1/chat/completions", **changes: Any) -> Exchange:
    request = Request(
        "POST",
        path,
        "",
        Headers({"content-type": "application/json"}),
        b'{"model":"gpt-4o"}',
        "openai",
        "chat",
        parse_helicone_headers(Headers(changes.pop("helicone", {}))),
        model="gpt-4o",
    )
    credential = changes.pop("credential", None)
    one = Exchange("id", request.replace(**changes), 0.0)
    one.credential = credential
    return one


async def prepared(one: Exchange, target: Target, **providers: ProviderConfig) -> UpstreamRequest:
    return (await Preparer(Catalogue.build(providers), ())(one, target)).request


def azure(**changes: Any) -> ProviderConfig:
    return ProviderConfig(**{"api_key": Secret("az-key"), "base_url": AZURE, **changes})


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, f"{AZURE}/openai/v1/chat/completions"),
        ({"api_version": "preview"}, f"{AZURE}/openai/v1/chat/completions"),
        (
            {"api_version": "2024-10-21"},
            f"{AZURE}/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21",
        ),
        (
            {"api_version": "2024-10-21", "base_url": f"{AZURE}/openai"},
            f"{AZURE}/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21",
        ),
        ({"api_version": "2024-10-21", "base_url": f"{AZURE}/openai/v1"}, f"{AZURE}/openai/v1/chat/completions"),
    ],
)
async def test_azures_deployments_are_in_the_address_of_its_dated_api(changes: Any, url: str) -> None:
    call = await prepared(exchange(), Target("azure", "my-gpt"), azure=azure(**changes))
    assert call.url == url
    assert call.headers.get("api-key") == "az-key"
    assert call.body == b'{"model":"my-gpt"}'


async def test_azure_without_a_target_model_is_asked_for_the_clients() -> None:
    call = await prepared(exchange(), Target("azure"), azure=azure(api_version="2024-10-21"))
    assert "/openai/deployments/gpt-4o/chat/completions" in call.url


async def test_every_deployment_has_a_version_of_its_own() -> None:
    config = azure(
        deployments={
            "old": DeploymentConfig(
                base_url="https://old.openai.azure.com", api_version="2023-05-15", api_key=Secret("old-key")
            )
        }
    )
    call = await prepared(exchange(), Target("azure", "d", deployment="old"), azure=config)
    assert call.url == "https://old.openai.azure.com/openai/deployments/d/chat/completions?api-version=2023-05-15"


def native(**changes: Any) -> Exchange:
    """A request in Bedrock's own dialect, addressed to it by name."""
    return exchange(
        CONVERSE,
        dialect="bedrock",
        operation="other",
        provider="bedrock",
        model=None,
        body=b'{"messages":[]}',
        **changes,
    )


async def test_calls_to_bedrock_are_signed() -> None:
    call = await prepared(native(), Target("bedrock"), bedrock=ProviderConfig(aws=AWS, region="eu-west-1"))
    assert call.url == f"https://bedrock-runtime.eu-west-1.amazonaws.com{CONVERSE}"
    authorization = call.headers.get("authorization") or ""
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, " in authorization
    assert call.body == b'{"messages":[]}'


@pytest.mark.parametrize(
    ("config", "credential", "authorization"),
    [
        (ProviderConfig(api_key=Secret("bedrock-api-key")), None, "Bearer bedrock-api-key"),
        (ProviderConfig(api_key=Secret("bedrock-api-key"), aws=AWS), None, "Bearer bedrock-api-key"),
        (ProviderConfig(aws=AWS), ProviderCredential("authorization", "Bearer own", "bedrock"), "Bearer own"),
    ],
)
async def test_a_key_goes_before_the_account(
    config: ProviderConfig, credential: ProviderCredential | None, authorization: str
) -> None:
    call = await prepared(native(credential=credential), Target("bedrock"), bedrock=config)
    assert call.headers.get("authorization") == authorization
    assert "x-amz-date" not in call.headers


async def test_another_address_gets_no_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = "https://bedrock-runtime.us-west-2.amazonaws.com"
    catalogue = Catalogue.build({"bedrock": ProviderConfig(aws=AWS, region="us-east-1")})

    async def checked(url: str, **_: Any) -> CheckedTarget:
        return CheckedTarget(url, "52.94.0.1", catalogue.provider_for_url(url))

    monkeypatch.setattr("helicone_gw.upstream.places.check_target", checked)
    one = native(helicone={"helicone-target-url": elsewhere})
    call = (await Preparer(catalogue, ())(one, Target("bedrock", base_url=elsewhere))).request
    assert call.url == f"{elsewhere}{CONVERSE}"
    assert "authorization" not in call.headers


async def test_without_key_and_account_there_is_no_call() -> None:
    with pytest.raises(AuthenticationFailed):
        await prepared(native(), Target("bedrock"), bedrock=ProviderConfig(region="us-east-1"))


@pytest.mark.parametrize(
    ("region", "path", "url"),
    [
        (
            "europe-west4",
            "/v1/publishers/google/models/gemini-2.5-pro:generateContent",
            (
                "https://europe-west4-aiplatform.googleapis.com/v1/projects/p-1/locations/europe-west4"
                "/publishers/google/models/gemini-2.5-pro:generateContent"
            ),
        ),
        (
            None,
            "/v1/endpoints/openapi/chat/completions",
            "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/endpoints/openapi/chat/completions",
        ),
        (
            None,
            "/v1/projects/p-2/locations/us-east1/publishers/google/models/m:predict",
            "https://aiplatform.googleapis.com/v1/projects/p-2/locations/us-east1/publishers/google/models/m:predict",
        ),
    ],
)
async def test_vertex_is_asked_in_the_accounts_project_with_its_token(region: str | None, path: str, url: str) -> None:
    config = ProviderConfig(google=GoogleConfig(project="p-1"), region=region)
    prepare = Preparer(Catalogue.build({"vertex": config}), ())
    prepare._signing._load = lambda file: Source()
    one = exchange(path, dialect="vertex", operation="other", provider="vertex", model=None)
    call = (await prepare(one, Target("vertex"))).request
    assert call.url == url
    assert call.headers.get("authorization") == "Bearer ya29.token"
    assert call.headers.get("x-goog-user-project") == "p-1"


class Source:
    token: str | None = None
    expiry: Any = None

    def refresh(self, request: Any) -> None:
        self.token = "ya29.token"


async def test_vertex_with_a_mere_key_names_no_project() -> None:
    path = "/v1/publishers/google/models/gemini-2.5-pro:generateContent"
    one = exchange(path, dialect="vertex", operation="other", provider="vertex", model=None)
    call = await prepared(one, Target("vertex"), vertex=ProviderConfig(api_key=Secret("AIza-key")))
    assert call.url == f"https://aiplatform.googleapis.com{path}"
    assert call.headers.get("x-goog-api-key") == "AIza-key"
