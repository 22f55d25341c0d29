"""Accounts at clouds as the configuration says them: what is needed, what belongs together, and that nothing shows."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from helicone_gw.config import ProviderConfig
from helicone_gw.config.providers import AwsConfig, DeploymentConfig, GoogleConfig
from helicone_gw.config.values import Secret
from helicone_gw.errors import ConfigError
from helicone_gw.model import Target
from helicone_gw.upstream.accounts import AwsAccount, GoogleAccount
from helicone_gw.upstream.provider import Provider
from helicone_gw.upstream.providers import Catalogue
from helicone_gw.upstream.sigv4 import AwsCredentials

AWS = AwsConfig(access_key_id=Secret("AKIDEXAMPLE"), secret_access_key=Secret("very-secret"))
TEMPORARY = AwsConfig(
    access_key_id=Secret("AKIDEXAMPLE"), secret_access_key=Secret("very-secret"), session_token=Secret("token-1")
)
GOOGLE = GoogleConfig(project="my-project")


def provider(name: str, config: ProviderConfig) -> Provider:
    found = Catalogue.build({name: config}).get(name)
    assert found is not None
    return found


def problems(name: str, config: ProviderConfig) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        Catalogue.build({name: config})
    return caught.value.problems


@pytest.mark.parametrize(
    ("config", "region", "origin"),
    [
        (ProviderConfig(aws=AWS), "us-east-1", "https://bedrock-runtime.us-east-1.amazonaws.com"),
        (ProviderConfig(aws=AWS, region="eu-west-3"), "eu-west-3", "https://bedrock-runtime.eu-west-3.amazonaws.com"),
        (
            ProviderConfig(aws=AWS, base_url="https://bedrock-runtime.ap-south-1.amazonaws.com"),
            "ap-south-1",
            "https://bedrock-runtime.ap-south-1.amazonaws.com",
        ),
        (
            ProviderConfig(aws=AWS, base_url="https://vpce-1.example.com", region="us-west-2"),
            "us-west-2",
            "https://vpce-1.example.com",
        ),
    ],
)
def test_requests_are_signed_for_the_region_that_they_go_to(config: ProviderConfig, region: str, origin: str) -> None:
    found = provider("bedrock", config)
    assert found.origin == origin
    assert found.account == AwsAccount(AwsCredentials("AKIDEXAMPLE", "very-secret"), region, "bedrock")


def test_temporary_access_keys_have_a_token() -> None:
    found = provider("bedrock", ProviderConfig(aws=TEMPORARY))
    assert isinstance(found.account, AwsAccount)
    assert found.account.credentials.session_token == "token-1"


def test_an_account_makes_a_provider_usable_without_a_key() -> None:
    assert Catalogue.build({"bedrock": ProviderConfig(aws=AWS)}).is_configured("bedrock")
    assert Catalogue.build({"vertex": ProviderConfig(google=GOOGLE)}).is_configured("vertex")
    assert not Catalogue.build({"bedrock": ProviderConfig(region="us-east-1")}).is_configured("bedrock")


@pytest.mark.parametrize(
    ("region", "origin"),
    [
        (None, "https://aiplatform.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_googles_region_is_its_location(region: str | None, origin: str) -> None:
    found = provider("vertex", ProviderConfig(google=GOOGLE, region=region))
    assert found.origin == origin
    assert found.account == GoogleAccount("my-project", region or "global")


def test_googles_credentials_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text("{}")
    config = ProviderConfig(google=GoogleConfig(project="p", credentials=str(file)))
    assert provider("vertex", config).account == GoogleAccount("p", "global", str(file))
    file.unlink()
    assert problems("vertex", config) == ("providers.vertex.google.credentials: there is no such file",)


def test_what_does_not_belong_together() -> None:
    assert problems("openai", ProviderConfig(aws=AWS)) == (
        "providers.openai.aws: belongs to a provider of the bedrock dialect, and this one's is openai",
    )
    assert problems("bedrock", ProviderConfig(google=GOOGLE)) == (
        "providers.bedrock.google: belongs to a provider of the vertex dialect, and this one's is bedrock",
    )
    assert problems("bedrock", ProviderConfig(aws=AWS, base_url="https://vpce-1.example.com")) == (
        "providers.bedrock.region: is needed, because requests are signed for it",
    )


def test_what_cannot_be_sent_in_a_header() -> None:
    odd = AwsConfig(access_key_id=Secret("AKID EXAMPLE"), secret_access_key=Secret("s"))
    (problem,) = problems("bedrock", ProviderConfig(aws=odd))
    assert problem == "providers.bedrock.aws: holds characters that cannot be sent in a header"


def test_a_missing_extra_is_named() -> None:
    with patch("helicone_gw.upstream.accounts.find_spec", return_value=None):
        (problem,) = problems("vertex", ProviderConfig(google=GOOGLE))
    assert "pip install 'helicone-gw[vertex]'" in problem


def test_deployments_in_other_regions_are_signed_for_those_and_other_addresses_not_at_all() -> None:
    catalogue = Catalogue.build(
        {
            "bedrock": ProviderConfig(
                aws=AWS,
                region="us-east-1",
                deployments={
                    "eu": DeploymentConfig(region="eu-west-1"),
                    "elsewhere": DeploymentConfig(base_url="https://bedrock.example.com"),
                },
            )
        }
    )
    there, elsewhere = (catalogue.at(Target("bedrock", "m", deployment=name)) for name in ("eu", "elsewhere"))
    assert there is not None
    assert isinstance(there.account, AwsAccount)
    assert there.account.region == "eu-west-1"
    assert elsewhere is not None
    assert elsewhere.account is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("bedrock", "set providers.bedrock.api_key or providers.bedrock.aws"),
        ("vertex", "set providers.vertex.api_key or providers.vertex.google"),
    ],
)
def test_what_is_missing_is_said(name: str, hint: str) -> None:
    assert provider(name, ProviderConfig()).hint == hint


def test_nothing_of_an_account_shows() -> None:
    config = ProviderConfig(aws=TEMPORARY)
    for shown in (repr(config), repr(provider("bedrock", config)), repr(Catalogue.build({"bedrock": config}))):
        assert "AKID" not in shown
        assert "very-secret" not in shown
        assert "token-1" not in shown
