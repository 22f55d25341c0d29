"""docs/writing-a-plugin.md: its plugin is written, tested, packaged and configured exactly as the page says."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from typer.main import get_command

from helicone_gw import Plugin, registry
from helicone_gw.chain import unsafe_orders
from helicone_gw.commands.line import build_cli
from helicone_gw.config import load_config
from helicone_gw.testing import GatewayFactory, PluginConformance

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-plugin.md"
BLOCKS = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
FILES = {path: text for _, path, text in BLOCKS if path}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for path, text in FILES.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "helicone_gw_prompt_limit" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("helicone_gw_prompt_limit"):
            del sys.modules[name]


def entry_point(project: Path) -> tuple[str, type[Plugin]]:
    metadata = tomllib.loads((project / "pyproject.toml").read_text())
    ((name, value),) = metadata["project"]["entry-points"]["helicone_gw.plugins"].items()
    module, _, attribute = value.partition(":")
    loaded: ModuleType = importlib.import_module(module)
    return name, getattr(loaded, attribute)


def test_every_block_is_one_that_this_test_runs() -> None:
    assert {language for language, _, _ in BLOCKS} == {"sh", "python", "toml", "yaml"}
    assert all(path for language, path, _ in BLOCKS if language in ("toml", "yaml"))


@pytest.mark.slow
def test_its_own_tests_pass(project: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "tests"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    passed = re.search(r"(\d+) passed", result.stdout)
    assert passed is not None
    assert int(passed[1]) > 40


def test_the_entry_point_is_a_plugin(project: Path) -> None:
    name, cls = entry_point(project)
    assert name == "prompt-limit"
    assert registry.check(cls, name) is cls
    assert all(field.description for field in cls.Config.model_fields.values())


def test_the_configuration_activates_it(project: Path) -> None:
    name, cls = entry_point(project)
    config = load_config(
        project / "gateway.yaml",
        environ={"OPENAI_API_KEY": "sk-of-the-page"},
        plugin_class=lambda asked: cls if asked == name else registry.load(asked),
        known_providers={"openai"},
    )
    plugins, _ = registry.build(config, lambda asked: cls if asked == name else registry.load(asked))
    assert plugins[-1].config.model_dump() == {"max_characters": 50000, "exempt": ("batch",)}
    assert unsafe_orders(plugins) == []


async def test_the_other_plugins_of_the_page_hold_what_they_must(gateway: GatewayFactory) -> None:
    found = []
    for language, path, text in BLOCKS:
        if language == "python" and not path:
            space = {"__name__": "page"}
            exec(compile(text, str(PAGE), "exec"), space)
            found += [each for each in space.values() if isinstance(each, type) and each.__module__ == "page"]
    assert [cls.__name__ for cls in found] == ["PairsPlugin"]
    for cls in found:
        suite = type("Suite", (PluginConformance,), {"plugin": cls})()
        suite.test_the_registry_accepts_it()
        for kind in ("chat", "chat, streamed", "message, streamed"):
            await suite.test_the_client_gets_what_the_provider_sent(gateway, kind)


def test_the_commands_exist() -> None:
    commands = get_command(build_cli(None)).commands  # type: ignore[attr-defined]
    lines = [line.split() for language, _, text in BLOCKS if language == "sh" for line in text.splitlines()]
    asked = [words[1] for words in lines if words[0] == "helicone-gw"]
    assert asked == ["plugin", "plugins", "check", "run"]
    assert set(asked) <= set(commands)


def test_every_hook_is_mentioned() -> None:
    hooks = re.findall(r"^## `(?:async )?def (\w+)", PAGE.with_name("hooks.md").read_text(), re.MULTILINE)
    page = PAGE.read_text()
    assert [hook for hook in hooks if f"`{hook}`" not in page] == []
