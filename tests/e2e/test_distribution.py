"""What a user installs: wheels built from this checkout, in environments that know nothing of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from tests.program import gateway

ROOT = Path(__file__).parents[2]
SHOUT = ROOT / "tests/fixtures/plugin_shout"
DISTRIBUTIONS = [ROOT, ROOT / "core", *sorted(file.parent for file in ROOT.glob("plugins/*/pyproject.toml")), SHOUT]
UV = [sys.executable, "-m", "uv"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def step(*command: Any, **options: Any) -> str:
    """Run a command that must succeed; its output."""
    finished: subprocess.CompletedProcess[str] = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
    )
    assert finished.returncode == 0, f"{command}\n{finished.stdout}"
    return finished.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every distribution's wheel, by the distribution's name; hatchling is there from the lock."""
    built = tmp_path_factory.mktemp("wheels")
    for source in DISTRIBUTIONS:
        step(*UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--out-dir", built, source)
    return {wheel.name.split("-")[0].replace("_", "-"): wheel for wheel in built.glob("*.whl")}


def clean_environment(folder: Path, *packages: Path) -> Path:
    """A new virtual environment holding these wheels and what they need at the locked versions; its ``bin``."""
    step(*UV, "venv", "--quiet", "--python", sys.executable, folder)
    install = [*UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python"]
    step(*install, "--constraint", ROOT / "requirements.lock", *packages)
    return folder / "bin"


@pytest.mark.parametrize("source", DISTRIBUTIONS[1:-1], ids=lambda source: source.name)
def test_a_wheel_holds_the_whole_package_and_nothing_else(wheels: dict[str, Path], source: Path) -> None:
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    (package,) = (folder.parent for folder in source.glob("helicone_gw*/__init__.py"))
    files = {
        file.relative_to(source).as_posix()
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    } | {module.name for module in source.glob("*.py") if module.name != "hatch_build.py"}
    with ZipFile(wheels[project["name"]]) as wheel:
        shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
        about = {name.partition(".dist-info/")[2] for name in wheel.namelist()} - {""}
    assert shipped == files
    assert f"{package.name}/py.typed" in shipped
    assert about == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}


def test_the_batteries_are_dependencies_and_no_code(wheels: dict[str, Path]) -> None:
    with ZipFile(wheels["helicone-gw"]) as wheel:
        assert [name for name in wheel.namelist() if ".dist-info/" not in name] == []


def test_a_third_party_plugin_is_installed_and_then_activated_by_yaml_alone(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    programs = clean_environment(tmp_path / "venv", wheels["helicone-gw-core"], wheels["helicone-gw-shout"])
    config = {
        "database": {"url": f"sqlite:///{tmp_path / 'helicone.db'}"},
        "providers": {"demo": {}},
        "plugins": [],
    }
    question = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}

    def ask(url: str) -> httpx.Response:
        return httpx.post(f"{url}/v1/chat/completions", json=question, trust_env=False)

    with gateway(config, tmp_path, programs / "helicone-gw") as url:
        silent = ask(url)
    assert silent.status_code == 200, silent.text
    assert "x-shout" not in silent.headers, "installed is not active"

    config["plugins"] = [{"shout": {"word": "hear ye"}}]
    with gateway(config, tmp_path, programs / "helicone-gw") as url:
        loud = ask(url)
    assert loud.status_code == 200, loud.text
    assert loud.headers["x-shout"] == "HEAR YE"
    assert loud.json()["choices"][0]["message"]["content"]


def test_plain_pip_installs_the_core_and_plugins_from_their_folders(tmp_path: Path) -> None:
    # The third-party packages come first and from uv, for speed; pip itself then needs no index at all.
    sources = tmp_path / "checkout"
    for member in ("core", "plugins"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / member, sources / member, ignore=ignored)
    python = tmp_path / "venv" / "bin" / "python"
    step(*UV, "venv", "--quiet", "--seed", "--python", sys.executable, tmp_path / "venv")
    step(
        *UV,
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--no-deps",
        "--require-hashes",
        "--requirement",
        ROOT / "requirements.lock",
    )
    # That each can be built is shown above, and the full round has pip build them all.
    chosen = sorted(folder.name for folder in (sources / "plugins").iterdir())
    if not os.environ.get("HELICONE_GW_FULL"):
        chosen = ["dashboard", "logging"]  # one with a build hook of its own, one without
    folders = ["./core", *(f"./plugins/{name}" for name in chosen)]
    step(python, "-m", "pip", "install", "--quiet", "--no-index", "--no-build-isolation", *folders, cwd=sources)
    step(python, "-m", "pip", "check")
    assert "Usage" in step(python.with_name("helicone-gw"), "--help")
