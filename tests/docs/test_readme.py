"""The README's examples, run against the gateway that `make run` starts."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.program import EXECUTABLE, free_port, process

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.fixture(scope="module")
def config(directory: Path) -> Path:
    """The shipped configuration on a port that is free."""
    text = (ROOT / "config" / "gateway.yaml").read_text()
    file = directory / "gateway.yaml"
    file.write_text(re.sub(r"port: 8787", f"port: {free_port()}", text))
    return file


@pytest.fixture(scope="module")
def url(config: Path, directory: Path) -> Iterator[str]:
    """The gateway, started as the README says."""
    port = re.search(r"port: (\d+)", config.read_text())
    assert port is not None
    base = f"http://127.0.0.1:{port[1]}"
    with process([EXECUTABLE, "--config", config], f"{base}/readyz", directory / "gateway.log", cwd=directory):
        yield base


def there(text: str, url: str) -> str:
    return text.replace("http://127.0.0.1:8787", url)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: install it to run the README's first request")
def test_the_first_curl_answers(url: str) -> None:
    (command,) = [block for block in blocks("sh") if block.startswith("curl")]
    arguments = shlex.split(there(command, url).replace("\\\n", " "))
    answered = subprocess.run([*arguments, "-sS", "--noproxy", "*"], capture_output=True, text=True, check=True)
    assert '"chat.completion"' in answered.stdout
    assert "Hello!" in answered.stdout


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_the_sdk_examples_answer(sdk: str, url: str) -> None:
    (code,) = [block for block in blocks("python") if f"from {sdk} import" in block]
    answered = subprocess.run(
        [sys.executable, "-c", there(code, url)], capture_output=True, text=True, env={"NO_PROXY": "*"}, check=False
    )
    assert answered.returncode == 0, answered.stderr
    assert "Hello!" in answered.stdout


def test_what_was_sent_is_in_the_log_with_its_cost(url: str, config: Path, directory: Path) -> None:
    (command,) = [block for block in blocks("sh") if "helicone-gw logs" in block]
    _, *arguments = command.split()
    listed = subprocess.run(
        [EXECUTABLE, *arguments, "--config", config, "--json"],
        capture_output=True,
        text=True,
        cwd=directory,
        check=True,
    )
    rows = listed.stdout.strip().splitlines()
    assert len(rows) == 3
    assert all('"cost' in row for row in rows)


def test_the_configuration_block_is_valid(directory: Path) -> None:
    (block,) = blocks("yaml")
    file = directory / "readme.yaml"
    file.write_text(block)
    checked = subprocess.run([EXECUTABLE, "check", "--config", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_official_plugin_is_in_the_table_and_every_link_leads_somewhere() -> None:
    for folder in sorted((ROOT / "plugins").iterdir()):
        assert f"(plugins/{folder.name}/README.md)" in README
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
