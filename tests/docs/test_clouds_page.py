"""docs/clouds.md: every example is a configuration that the gateway takes, and does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helicone_gw import registry
from helicone_gw.config import GatewayConfig, load_config
from helicone_gw.upstream.accounts import AwsAccount, GoogleAccount
from helicone_gw.upstream.builtin import built_ins
from helicone_gw.upstream.providers import Catalogue

PAGE = (Path(__file__).parents[2] / "docs" / "clouds.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
KNOWN = {known for name, entry in built_ins().providers.items() for known in (name, *entry.aliases)}


def loaded(text: str, directory: Path) -> GatewayConfig:
    file = directory / "gateway.yaml"
    file.write_text(text)
    return load_config(file, environ={}, plugin_class=registry.load, known_providers=KNOWN)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_makes_its_providers_usable(number: int, tmp_path: Path) -> None:
    config = loaded(EXAMPLES[number], tmp_path)
    catalogue = Catalogue.build(config.providers)
    assert config.providers
    for name in config.providers:
        assert catalogue.is_configured(name), name


def test_what_the_examples_say_of_accounts(tmp_path: Path) -> None:
    accounts = []
    for example in EXAMPLES:
        catalogue = Catalogue.build(loaded(example, tmp_path).providers)
        for name in ("bedrock", "vertex"):
            provider = catalogue.get(name)
            if provider is not None and provider.account is not None:
                accounts.append(provider.account)
    aws, google = accounts
    assert isinstance(aws, AwsAccount)
    assert aws.region == "eu-central-1"
    assert google == GoogleAccount("my-project", "europe-west4")
