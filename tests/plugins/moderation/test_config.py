"""The configuration: what it refuses, what the README says of it, what ``helicone-gw check`` has to say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from helicone_gw import ConfigError
from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw_moderation.config import ModerationConfig
from helicone_gw_moderation.plugin import ModerationPlugin

README = (Path(__file__).parents[3] / "plugins/moderation/README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"checks": [{"action": "block"}]}, "needs something to find"),
        ({"checks": [{"judges": ["openai-moderations"], "action": "redact"}]}, "cannot redact"),
        ({"checks": [{"judges": ["nobody"]}]}, "no judge 'nobody'"),
        ({"rules": [{"models": ["a"], "checks": []}]}, "at least 1"),
        ({"judges": {"a": {"kind": "oracle"}}}, "kind"),
        ({"judges": {"a b": {"kind": "moderations"}}}, "pattern"),
        ({"stream": {"hold": -1}}, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ModerationConfig.model_validate(config)


def test_addresses_and_headers_of_webhooks_are_secrets() -> None:
    judge = {"kind": "webhook", "url": "https://judge.example.com/?key=hidden", "headers": {"x-key": "hidden"}}
    config = ModerationConfig.model_validate({"judges": {"a": judge}})
    assert "hidden" not in repr(config) + config.model_dump_json()


async def test_the_readmes_example_is_a_configuration(gateway: GatewayFactory) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    plugins = YAML(typ="safe").load(example)["plugins"]
    provider = ScriptedProvider()
    gateway.build(plugins, provider=provider, http=provider, config={"providers": {"groq": {"api_key": "gsk-1"}}})


def test_the_readme_names_every_setting() -> None:
    def names(model: Any) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            below = getattr(field.annotation, "model_fields", None)
            found += [f"{name}.{inner}" for inner in below] if below else [name]
        return found

    table = README.partition("## Configuration")[2].partition("| hook |")[0]
    for name in names(ModerationConfig):
        outer, _, inner = name.partition(".")
        assert f"`{name}`" in table or (f"`{outer}." in table and f"`.{inner}`" in table), name


@pytest.mark.parametrize(("key", "remarks"), [(None, 1), ("sk-1", 0)])
async def test_check_says_that_openais_moderations_need_a_key(
    gateway: GatewayFactory, key: str | None, remarks: int
) -> None:
    provider = ScriptedProvider()
    made = gateway.build(
        ["moderation"], provider=provider, http=provider, config={"providers": {"openai": {"api_key": key}}}
    )
    (plugin,) = made.plugins
    assert isinstance(plugin, ModerationPlugin)
    assert len(list(plugin.remarks(made.config))) == remarks


async def test_a_check_for_what_nobody_could_find_stops_the_start(gateway: GatewayFactory) -> None:
    with pytest.raises(ConfigError, match="nothing is called 'secrats'"):
        async with gateway([{"moderation": {"checks": [{"find": ["secret", "secrats"]}]}}]):
            pass


async def test_a_rule_that_cannot_be_used_stops_the_start(gateway: GatewayFactory, tmp_path: Path) -> None:
    bad = {"moderation": {"detectors": {"patterns": {"slow": ["(a+)+b(?=c)"]}}}}
    with pytest.raises(ConfigError):
        async with gateway([bad]):
            pass
