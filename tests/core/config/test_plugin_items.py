"""plugins: names, or {name: {their own configuration}}, outermost first."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from helicone_gw.config import GatewayConfig
from helicone_gw.plugin import Plugin, PluginConfig

Load = Callable[..., GatewayConfig]
Problems = Callable[..., tuple[str, ...]]
Toys = Mapping[str, type[Plugin]]


def test_a_name_is_a_plugin_with_its_defaults(load: Load, toys: Toys) -> None:
    [spec] = load("plugins: [cache]").plugins
    assert (spec.plugin, spec.name, spec.on_failure, spec.timeout) == ("cache", "cache", None, None)
    assert spec.config == toys["cache"].Config()


def test_the_order_is_the_file_s(load: Load) -> None:
    assert [spec.name for spec in load("plugins: [guard, logging, cache]").plugins] == ["guard", "logging", "cache"]


def test_a_block_is_the_plugin_s_own_configuration(load: Load, toys: Toys) -> None:
    config = load(
        "plugins:\n"
        "  - cache: {backend: redis, size: '${SIZE}'}\n"
        "  - guard:\n"
        "      keys: {alice: '${ALICE}', bob: {pattern: b, action: refuse}}\n"
        "      rules:\n"
        "        - {pattern: a}\n",
        {"SIZE": "3", "ALICE": "sk"},
    )
    cache, guard = (spec.config for spec in config.plugins)
    assert cache == toys["cache"].Config.model_validate({"backend": "redis", "size": 3})
    assert guard.model_dump(mode="json") == {
        "keys": {"alice": "**********", "bob": {"pattern": "b", "action": "refuse"}},
        "rules": [{"pattern": "a", "action": "warn"}],
        "level": 1,
    }


def test_an_empty_block_is_no_block(load: Load, toys: Toys) -> None:
    assert load("plugins:\n  - cache:\n").plugins[0].config == toys["cache"].Config()


def test_the_gateway_s_own_keys_never_reach_the_plugin(load: Load, toys: Toys) -> None:
    [spec] = load("plugins: [cache: {name: second, on_failure: open, timeout: 2, size: 5}]").plugins
    assert (spec.name, spec.on_failure, spec.timeout) == ("second", "open", 2.0)
    assert spec.config == toys["cache"].Config.model_validate({"size": 5})


def test_a_plugin_without_a_configuration_of_its_own_takes_the_gateway_s_keys(load: Load) -> None:
    [spec] = load("plugins: [logging: {timeout: '${T}'}]", {"T": "0.5"}).plugins
    assert spec.timeout == 0.5
    assert spec.config == PluginConfig()


def test_two_instances_of_one_plugin(load: Load) -> None:
    specs = load("plugins: [cache, cache: {name: second, size: 2}]").plugins
    assert [(spec.plugin, spec.name) for spec in specs] == [("cache", "cache"), ("cache", "second")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "plugins: [cache, cache]",
            "1:18: plugins.1: a plugin instance 'cache' exists already (line 1): give this one another name",
        ),
        (
            "plugins: [cache, guard: {name: cache}]",
            "1:32: plugins.1.guard: a plugin instance 'cache' exists already (line 1): give this one another name",
        ),
        ("plugins: [needy]", "1:11: plugins.0.url: is required, and missing"),
        ("plugins: [needy: {}]", "1:11: plugins.0.needy.url: is required, and missing"),
        (
            "plugins: [cache: {sice: 1}]",
            (
                "1:19: plugins.0.cache.sice: unknown key; did you mean 'size'? "
                "(known: backend, name, on_failure, size, timeout)"
            ),
        ),
        (
            "plugins: [guard: {rules: [{pattern: a, acton: warn}]}]",
            "1:40: plugins.0.guard.rules.0.acton: unknown key; did you mean 'action'? (known: action, pattern)",
        ),
        (
            "plugins: [guard: {keys: {a: {pattern: b, actoin: warn}}}]",
            "1:42: plugins.0.guard.keys.a.actoin: unknown key; did you mean 'action'? (known: action, pattern)",
        ),
        (
            "plugins: [guard: {keys: {a: 5}}]",
            (
                "1:29: plugins.0.guard.keys.a: should be text; put it in quotes if it is, "
                "or should be a mapping (key: value)"
            ),
        ),
        ("plugins: [cache: {timeout: 0}]", "1:28: plugins.0.cache.timeout: Input should be greater than 0"),
        (
            "plugins: [cache: {on_failure: shut}]",
            "1:31: plugins.0.cache.on_failure: Input should be 'open' or 'closed'",
        ),
        (
            "plugins: [cache: {name: 'a b'}]",
            (
                "1:25: plugins.0.cache.name: should be a plain name: "
                "a letter, then letters, digits, '-' and '_', at most 63"
            ),
        ),
        ("plugins: [guard: {keys: {a: x, b: x}}]", "1:11: plugins.0.guard: two keys are the same"),
        ("plugins: [cache: 5]", "1:18: plugins.0.cache: should be a mapping: the plugin's own configuration"),
        (
            "plugins:\n  - cache:\n    size: 3\n",
            "2:5: plugins.0: has several keys (cache, size): indent a plugin's own configuration below it",
        ),
        ("plugins: [[cache]]", "1:11: plugins.0: should be a plugin's name, or {name: {its own configuration}}"),
        ("plugins: [5]", "1:11: plugins.0: should be a plugin's name, or {name: {its own configuration}}"),
        ("plugins: [{}]", "1:11: plugins.0: should be a plugin's name, or {name: {its own configuration}}"),
        ("plugins: ['']", "1:11: plugins.0: should be a plugin's name, or {name: {its own configuration}}"),
        ("plugins: [unheard-of: {a: 1}]", "1:11: plugins.0.unheard-of: no plugin 'unheard-of' is installed"),
        (
            "plugins: [talkative: {token: crash}]",
            "1:11: plugins.0.talkative: cannot be read: TalkativeConfig raised KeyError",
        ),
        (
            "plugins: [talkative: {token: '${T}'}]",
            "1:30: plugins.0.talkative.token: the token '${T}' is no good, ${T} is bad",
        ),
    ],
)
def test_a_problem_at_its_place(problems: Problems, text: str, expected: str) -> None:
    assert problems(text, {"T": "hush-hush"}) == (expected,)


def test_the_gateway_s_keys_and_the_plugin_s_are_told_together(problems: Problems) -> None:
    found = problems("plugins: [cache: {timeout: no, size: x, backend: y}, guard: {level: 0}]")
    assert len(found) == 4
