"""The JSON Schema that editors check the configuration with."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from helicone_gw import registry
from helicone_gw.config import GatewayConfig, json_schema, schema_text
from helicone_gw.plugin import Plugin, PluginConfig

Toys = Mapping[str, type[Plugin]]

ROOT = Path(__file__).parents[3]
OFFICIAL = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))


@pytest.fixture(scope="module")
def validator(toys: Toys) -> Draft202012Validator:
    schema = json_schema(toys)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(io.StringIO(text))


def test_the_shipped_schema_is_the_generated_one() -> None:
    generated = schema_text({name: registry.load(name) for name in OFFICIAL})
    shipped = (ROOT / "config" / "schema.json").read_text(encoding="utf-8")
    assert shipped == generated, "regenerate it: helicone-gw schema > config/schema.json"


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_the_shipped_files_name_the_schema_and_satisfy_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=./schema.json\n")
    schema = json.loads((ROOT / "config" / "schema.json").read_text(encoding="utf-8"))
    assert list(Draft202012Validator(schema).iter_errors(read(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "server:\nplugins:\nproviders: {openai: }",
        'server: {port: "${PORT}", open: "${OPEN}", engine: "${ENGINE}", max_body: "${BODY}"}',
        "server: {max_body: 512, max_upload: 1.5GiB}",
        "models: {m: {price: {input_mtok: 0.15, output_mtok: '${PRICE}'}}}",
        "plugins: [cache, cache: {name: second, on_failure: open, timeout: 1, size: '${SIZE}'}]",
        "plugins: [cache: , needy: {url: x}]",
        "plugins: [guard: {keys: {a: '${A}', b: {pattern: c, action: '${ACTION}'}}}]",
    ],
)
def test_what_an_editor_accepts(validator: Draft202012Validator, text: str) -> None:
    assert [error.message for error in validator.iter_errors(read(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "server: {prot: 1}",
        "server: {port: 65536}",
        "server: {port: high}",
        "server: {engine: gunicorn}",
        "server: {max_body: lots}",
        "unknown: {}",
        "providers: {openai: {dialect: klingon}}",
        "providers: {openai: {headers: {a: 1}}}",
        "models: {m: {price: {input_mtok: -1}}}",
        "models: {m: {price: {inptu: 1}}}",
        "plugins: [unheard-of]",
        "plugins: [needy]",
        "plugins: [needy: {}]",
        "plugins: [cache: {backend: disk}]",
        "plugins: [cache: {unknown: 1}]",
        "plugins: [cache: {on_failure: shut}]",
        "plugins: [{cache: {}, logging: {}}]",
        "plugins: [guard: {rules: [{action: warn}]}]",
        "plugins: {cache: {}}",
    ],
)
def test_what_an_editor_marks(validator: Draft202012Validator, text: str) -> None:
    assert list(validator.iter_errors(read(text)))


def test_what_an_editor_accepts_loads(
    validator: Draft202012Validator, load: Callable[..., GatewayConfig], documented: str
) -> None:
    for text in (documented, "{server: {max_body: 512, max_upload: 1.5GiB}}", "plugins: [cache: , needy: {url: x}]"):
        assert list(validator.iter_errors(read(text))) == []
        load(text, {"ALICE_KEY": "a"})


def test_every_key_of_the_core_is_explained() -> None:
    schema = json_schema({})
    for definition in (schema, *schema["$defs"].values()):
        for name, field in definition.get("properties", {}).items():
            assert len(field.get("description", "")) > 10, name


def test_a_plugin_is_explained_by_the_first_paragraph_of_its_docstring(toys: Toys) -> None:
    items = json_schema({"guard": toys["guard"]})["properties"]["plugins"]["anyOf"][0]["items"]["anyOf"]
    assert items[0] == {"const": "guard", "description": "Refuses what it is told to refuse."}


class Rule(PluginConfig):
    """Not the Rule that the guard has."""

    other: int = 1


class OtherConfig(PluginConfig):
    rule: Rule = Rule()


class Other(Plugin):
    Config = OtherConfig


def test_definitions_of_two_plugins_do_not_mix(toys: Toys) -> None:
    definitions = json_schema({"guard": toys["guard"], "other": Other})["$defs"]
    assert set(definitions["guard.Rule"]["properties"]) == {"pattern", "action"}
    assert set(definitions["other.Rule"]["properties"]) == {"other"}


def test_without_plugins_the_list_is_empty() -> None:
    validator = Draft202012Validator(json_schema({}))
    assert list(validator.iter_errors({"plugins": []})) == []
    assert list(validator.iter_errors({"plugins": ["cache"]}))


def test_the_text_is_the_same_every_time(toys: Toys) -> None:
    assert schema_text(toys) == schema_text(dict(sorted(toys.items(), reverse=True)))
    assert json.loads(schema_text(toys)) == json_schema(toys)
