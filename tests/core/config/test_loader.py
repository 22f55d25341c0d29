"""A YAML file becomes a GatewayConfig, or every problem at its place."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from helicone_gw.config import GatewayConfig
from helicone_gw.config.loader import MAX_FILE
from helicone_gw.errors import ConfigError

Load = Callable[..., GatewayConfig]
Problems = Callable[..., tuple[str, ...]]


def test_the_documented_configuration(load: Load, documented: str) -> None:
    config = load(documented, {"ALICE_KEY": "sk-alice", "OPENAI_API_KEY": " sk-openai "})
    assert config.server == GatewayConfig().server, "it spells out the defaults"
    assert config.limits == GatewayConfig().limits
    assert config.database.url == "sqlite:///helicone.db"
    assert config.store.url == "memory://"
    assert config.server.max_body == 64 * 1024**2
    assert config.server.max_upload == 1024**3
    openai = config.providers["openai"]
    assert openai.api_key is not None
    assert openai.api_key.get_secret_value() == "sk-openai"
    assert config.providers["anthropic"].api_key is None, "an empty key is no key"
    assert config.providers["local"].base_url == "http://127.0.0.1:11434/v1"
    model = config.models["house-model"]
    assert model.model == "house-model", "the name sent upstream is the entry's own"
    assert model.price is not None
    assert (model.price.input_mtok, model.price.output_mtok) == (Decimal(0), Decimal("0.15"))
    assert model.price.cache_read_mtok is None, "unknown is not zero"
    assert [(spec.plugin, spec.name) for spec in config.plugins] == [("logging", "logging"), ("guard", "guard")]


def test_references_may_stand_for_numbers_switches_and_sizes(load: Load) -> None:
    text = 'server: {port: "${PORT:-8787}", open: ${OPEN}, max_body: "${BODY}", drain_timeout: "${DRAIN}"}'
    text = text.replace("${OPEN}", '"${OPEN}"')
    config = load(text, {"PORT": "4000", "OPEN": "true", "BODY": "512KiB", "DRAIN": "1.5"})
    assert config.server.port == 4000
    assert config.server.open is True
    assert config.server.max_body == 512 * 1024
    assert config.server.drain_timeout == 1.5
    assert load(text, {"OPEN": "false", "BODY": "7", "DRAIN": "0"}).server.port == 8787


def test_a_secret_never_enters_yaml_syntax(load: Load) -> None:
    secret = "x\"}, port: 1, {y: '"
    config = load('{server: {host: "${HOST}"}}', {"HOST": secret})
    assert config.server.host == secret
    assert config.server.port == 8787


def test_empty_sections_and_blocks_are_as_good_as_absent(load: Load) -> None:
    config = load("server:\nplugins:\nproviders:\n  openai:\nmodels:\n")
    assert config.server == GatewayConfig().server
    assert config.plugins == ()
    assert config.providers["openai"].api_key is None


def test_anchors_and_merge_keys(load: Load) -> None:
    config = load(
        "providers:\n"
        "  one: &base {base_url: 'http://127.0.0.1:1', dialect: openai, include_usage: false}\n"
        "  two:\n"
        "    <<: *base\n"
        "    dialect: anthropic\n"
    )
    assert config.providers["two"].dialect == "anthropic"
    assert config.providers["two"].base_url == "http://127.0.0.1:1"
    assert config.providers["two"].include_usage is False


def test_yaml_1_2_words_and_dates_are_text(load: Load) -> None:
    config = load("providers: {openai: {region: no, api_version: 2024-10-21}}")
    assert config.providers["openai"].region == "no"
    assert config.providers["openai"].api_version == "2024-10-21"


def test_every_problem_at_once_in_the_file_s_order(problems: Problems) -> None:
    text = """\
server:
  prot: 8787
  engine: uvicron
  workers: yes please
limits: {deadline: -1}
provider: {}
providers:
  opnai: {api_key: "${KEY}"}
  v1: {base_url: "http://127.0.0.1", dialect: openai}
models:
  m: {providers: [opnia]}
plugins:
  - lodging
  - cache: {backend: disk}
"""
    assert problems(text, {"KEY": "k"}) == (
        (
            "2:3: server.prot: unknown key; did you mean 'port'? "
            "(known: allowed_targets, cors, domains, drain_timeout, engine, host, http3, max_body, max_upload, open, "
            "port, tls, trusted_proxies, workers)"
        ),
        "3:11: server.engine: Input should be 'hypercorn', 'uvicorn' or 'granian'; did you mean 'uvicorn'?",
        "4:12: server.workers: Input should be a valid integer, unable to parse string as an integer",
        "5:20: limits.deadline: Input should be greater than 0",
        (
            "6:1: provider: unknown key; did you mean 'providers'? "
            "(known: database, limits, models, pipeline, plugins, providers, server, store, translation, upstream)"
        ),
        "8:3: providers.opnai: is no built-in provider, so it needs base_url and dialect; did you mean 'openai'?",
        "9:3: providers.v1: is a path of the gateway itself, so no provider can be called that; choose another name",
        "11:19: models.m.providers.0: is neither configured nor built in; did you mean 'opnai'?",
        "13:5: plugins.0: no plugin 'lodging' is installed",
        "14:22: plugins.1.cache.backend: Input should be 'memory' or 'redis'",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: the file is empty: it should have sections such as server, providers and plugins"),
        ("# only a comment\n", "1:1: the file is empty: it should have sections such as server, providers and plugins"),
        ("- a\n- b\n", "1:1: should be a mapping of sections such as server, providers and plugins"),
        ("just text", "1:1: should be a mapping of sections such as server, providers and plugins"),
        ("server: {port: 1}\nserver: {port: 2}", "2:1: server: duplicate key (first on line 1)"),
        ("server:\n  port: 1\n  port: 2\n", "3:3: server.port: duplicate key (first on line 2)"),
        ("? [a]\n: 1\n", "1:3: a key should be plain text"),
        ("server: !custom {port: 1}", "1:9: server: the tag !custom is not supported here"),
        ("server: {host: !!binary aGk=}", "1:16: server.host: the tag tag:yaml.org,2002:binary is not supported here"),
        ("server: &a [*a]", "1:9: server.0: an alias inside of what it stands for"),
        ("server: {<<: 1}", "1:14: server: << merges a mapping, or a list of mappings"),
        ("server: 5", "1:9: server: should be a mapping (key: value)"),
        ("server: {domains: a.example}", "1:19: server.domains: should be a list"),
        ("server: {host: 5}", "1:16: server.host: should be text; put it in quotes if it is"),
        ("server: {port: true}", "1:16: server.port: should be a number, not true or false"),
        ("server: {open: maybe}", "1:16: server.open: should be true or false"),
        ("server: {port: }", "1:10: server.port: Input should be a valid integer"),
        ("plugins: {logging: {}}", "1:1: plugins: should be a list, outermost plugin first"),
        ("models: {m: {aliases: [m]}}", "1:24: models.m.aliases.0: is the name of a model already"),
        ("models: {m: {aliases: [a]}, n: {aliases: [a]}}", "1:43: models.n.aliases.0: is an alias of 'm' already"),
        (
            "providers: {mine: {base_url: 'http://h'}}",
            "1:13: providers.mine: is no built-in provider, so it needs dialect",
        ),
        (
            'server: {port: "${PORT}"}',
            "1:16: server.port: environment variable PORT is not set (${PORT:-} would do without)",
        ),
    ],
)
def test_a_problem_at_its_place(problems: Problems, text: str, expected: str) -> None:
    assert problems(text)[0] == expected
    if not text.startswith("server: &a"):
        assert len(problems(text)) == 1


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("server: {port: 1\nlimits: {}\n", (2, 7), "not valid YAML"),
        ("server:\n\tport: 1\n", (2, 1), "not with tabs"),
        ("a: *nowhere\n", (1, 4), "undefined alias"),
        ("server: {}\n---\nserver: {}\n", (2, 1), "but found another document"),
        ("server: {open: ${OPEN}}\n", (1, 17), "a reference needs quotes"),
        ("server: {}\n  port: 'a\n", (2, 3), "not valid YAML"),
        ("server:\n  host: \x00\n", (2, 9), "a character that YAML does not allow"),
        ("a: " + "[" * 60 + "]" * 60, (1, 53), "maximum depth"),
    ],
)
def test_text_that_is_not_yaml(problems: Problems, text: str, position: tuple[int, int], words: str) -> None:
    [problem] = problems(text)
    assert problem.startswith(f"{position[0]}:{position[1]}: not valid YAML")
    assert words in problem
    assert "\n" not in problem


def test_bytes_that_are_not_utf_8(problems: Problems) -> None:
    assert problems(b"server: {}\nx: \xff\n") == ("2:4: the file is not UTF-8 text",)


def test_a_byte_order_mark_is_no_part_of_the_text(load: Load) -> None:
    assert load(b"\xef\xbb\xbfserver: {port: 1}").server.port == 1


def test_a_file_that_is_too_large(problems: Problems) -> None:
    assert problems(b"#" * (MAX_FILE + 1)) == ("1:1: the file is larger than 4 MiB",)


def test_aliases_cannot_make_a_small_file_huge(problems: Problems) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert any("more than 100000 values" in problem for problem in problems("\n".join(lines)))


def test_aliases_cannot_nest_without_end(problems: Problems) -> None:
    lines = ["a0: &a0 {k: v}"]
    lines += [f"a{n}: &a{n} {{k: *a{n - 1}}}" for n in range(1, 400)]
    assert any("nest deeper than 50" in problem for problem in problems("\n".join(lines)))


def test_of_very_many_problems_the_rest_is_counted(problems: Problems) -> None:
    found = problems("server:\n" + "".join(f"  key{n}: 1\n" for n in range(300)))
    assert len(found) == 201
    assert found[-1] == "202:3: and 100 more problems from here on"


def test_a_file_that_cannot_be_read(load_file: Load, tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "absent.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError, match=reason):
            load_file(path)


def test_what_follows_from_a_problem_is_not_told_again(problems: Problems) -> None:
    assert problems('server: {port: "${PORT}", workers: "${N}"}') == (
        "1:16: server.port: environment variable PORT is not set (${PORT:-} would do without)",
        "1:36: server.workers: environment variable N is not set (${N:-} would do without)",
    )


SECRET = "s3cr3t-value"


@pytest.mark.parametrize(
    "text",
    [
        'server: {port: "${S}"}',
        'server: {engine: "${S}"}',
        'server: {max_body: "${S}"}',
        'server: {domains: ["${S}/"]}',
        'database: {url: "mysql://user:${S}@host/db"}',
        'database: {url: "postgres://user:${S}@host/db"}',
        'database: {url: "sqlite://${S}"}',
        'database: {url: "postgresql://user:${S}@[bad/db"}',
        'store: {url: "redis://:${S}@host:x"}',
        'providers: {openai: {base_url: "https://user:${S}@host"}}',
        'providers: {openai: {base_url: "ftp://${S}"}}',
        'providers: {openai: {api_key: "${S}\\n${S}"}}',
        'providers: {openai: {headers: {"a b": "${S}"}}}',
        'providers: {openai: {dialect: "${S}"}}',
        'models: {m: {price: {input_mtok: "${S}"}}}',
        'models: {m: {providers: ["${S}"]}}',
        'models: {m: {aliases: [a, "${S}", "${S}"]}}',
        'plugins: ["${S}"]',
        'plugins: [talkative: {token: "${S}"}]',
        'plugins: [guard: {keys: {a: "${S}", b: "${S}"}}]',
        'plugins: [guard: {rules: [{pattern: a, action: "${S}"}]}]',
        'plugins: [guard: {name: "${S} ${S}"}]',
        'plugins: [logging: {name: "${S}"}, guard: {name: "${S}"}]',
    ],
)
def test_no_message_repeats_what_came_from_outside(problems: Problems, text: str) -> None:
    found = problems(text, {"S": SECRET})
    assert found
    assert SECRET not in "\n".join(found)


def test_a_failed_load_keeps_no_secret_in_its_chain_of_exceptions(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load('server: {port: "${S}"}', {"S": SECRET})
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_no_secret_shows_in_a_representation(load: Load) -> None:
    config = load(
        "database: {url: 'postgresql://u:${S}@h/d'}\n"
        "providers: {openai: {api_key: '${S}', headers: {x-extra: '${S}'}}}\n"
        "plugins: [guard: {keys: {a: '${S}'}}]\n",
        {"S": SECRET},
    )
    assert SECRET in config.database.url
    assert SECRET not in repr(config)
    assert SECRET not in str(config)
