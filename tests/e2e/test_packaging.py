"""What is shipped and locked: the manifests agree, the lock is current and portable, every distribution is complete."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(folder.parent.name for folder in ROOT.glob("plugins/*/pyproject.toml"))
MEMBERS = [".", "core", *(f"plugins/{name}" for name in PLUGINS)]
SUITES = ("openai_suite", "litellm_suite")
LOCKS = ["requirements.lock", *(f"tests/clients/{suite}/requirements.lock" for suite in SUITES)]
PYTHONS = ["3.11", "3.13"]
# Modules whose distribution is versioned with another's, and comes with that one.
PARTS = {"pydantic_core": "pydantic", "werkzeug": "quart"}


@cache
def manifest(member: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / member / "pyproject.toml").read_text())


def requirements(member: str) -> list[Requirement]:
    project = manifest(member)["project"]
    named = [*project.get("dependencies", []), *manifest(member)["build-system"]["requires"]]
    for extra in project.get("optional-dependencies", {}).values():
        named += extra
    return [Requirement(line) for line in named]


def locked(lock: str) -> list[Requirement]:
    entries = re.findall(r"^(\S.*?)(?: \\)?$", (ROOT / lock).read_text(), re.MULTILINE)
    return [Requirement(entry) for entry in entries]


def locked_version(name: str, python: str) -> str | None:
    environment: dict[str, str] = {"python_version": python, "python_full_version": f"{python}.9"}
    for entry in locked("requirements.lock"):
        if canonicalize_name(entry.name) == canonicalize_name(name) and (
            entry.marker is None or entry.marker.evaluate(environment)
        ):
            (pin,) = entry.specifier
            return pin.version
    return None


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("member", MEMBERS)
def test_the_lock_has_every_dependency_that_a_manifest_names(member: str, python: str) -> None:
    missing = []
    for requirement in requirements(member):
        if canonicalize_name(requirement.name).startswith("helicone-gw"):
            continue
        version = locked_version(requirement.name, python)
        if version is None or version not in requirement.specifier:
            missing.append(f"{requirement} (locked: {version})")
    assert not missing, f"run `make lock`: {missing}"


def imported(folder: Path) -> set[str]:
    """The top-level modules from outside this project and the standard library that the code in a folder imports."""
    modules: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                modules.add(node.module)
    tops = {module.partition(".")[0] for module in modules}
    # The types of the standard library's stubs are there for type checkers alone, and come with them.
    return {top for top in tops - sys.stdlib_module_names - {"_typeshed"} if not top.startswith("helicone_gw")}


@cache
def installed() -> Mapping[str, list[str]]:
    """The distributions that bring each top-level module."""
    return packages_distributions()


@pytest.mark.parametrize("member", MEMBERS[1:])
def test_what_a_package_imports_is_a_dependency_of_it_or_of_the_core(member: str) -> None:
    (package,) = (folder.parent for folder in (ROOT / member).glob("helicone_gw*/__init__.py"))
    declared = {canonicalize_name(requirement.name) for requirement in [*requirements(member), *requirements("core")]}
    modules = imported(package)
    undeclared = {
        module
        for module in modules - PARTS.keys()
        if not declared & {canonicalize_name(name) for name in installed().get(module, [])}
    }
    assert not undeclared
    assert declared >= {PARTS[module] for module in modules & PARTS.keys()}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_portable_and_hashed(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"(^|[\s=@])(/|\.\.?/|[A-Za-z]:\\)", text, re.MULTILINE), "a path stands in the lock"
    assert not re.search(r"^-", text, re.MULTILINE), "an option stands in the lock"
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 30
    for entry in entries:
        assert re.fullmatch(r"[^\n]+==[^\n]+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\\n|$))+", entry), entry
    assert not [entry for entry in entries if entry.startswith("helicone-gw")]


def test_the_mock_is_locked_without_addresses() -> None:
    text = (ROOT / "tests/clients/openai_suite/package-lock.json").read_text()
    assert "://" not in text
    assert "resolved" not in text


def test_nothing_that_records_an_address_is_kept() -> None:
    assert "uv.lock" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("member", MEMBERS)
def test_every_distribution_is_described_alike(member: str) -> None:
    project = manifest(member)["project"]
    assert project["requires-python"] == ">=3.11"
    assert project["license"] == "Apache-2.0"
    assert project["version"] == manifest(".")["project"]["version"]
    assert project["description"]
    assert (ROOT / member / project["readme"]).is_file()
    assert (ROOT / member / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_stands_everywhere_that_the_root_lists_them(name: str) -> None:
    root, own = manifest("."), manifest(f"plugins/{name}")
    package = f"helicone_gw_{name.replace('-', '_')}"
    version = root["project"]["version"]
    assert own["project"]["name"] == f"helicone-gw-{name}"
    assert f"helicone-gw-core=={version}" in own["project"]["dependencies"]
    assert own["project"]["entry-points"]["helicone_gw.plugins"][name].startswith(f"{package}.")
    assert f"helicone-gw-{name}=={version}" in root["project"]["dependencies"]
    assert f"helicone-gw-{name}" in root["tool"]["uv"]["sources"]
    assert f"plugins/{name}" in root["tool"]["mypy"]["mypy_path"].split(":")
    imports = root["tool"]["importlinter"]
    contracts = {contract["id"]: contract for contract in imports["contracts"]}
    assert package in imports["root_packages"]
    assert package in contracts["core-knows-no-plugin"]["forbidden_modules"]
    assert package in contracts["public-api"]["source_modules"]
    assert package in contracts["independence"]["modules"]
    assert (ROOT / "plugins" / name / package / "py.typed").is_file()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_alone_says_what_there_is() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for command in ("install", "run", "check", "test", "test-full", "bench", "lock", "schema"):
        assert re.search(rf"^make {command} +\S", listed, re.MULTILINE), listed


def test_the_root_passes_on_every_extra_of_the_core() -> None:
    core = manifest("core")["project"]["optional-dependencies"]
    root = manifest(".")["project"]["optional-dependencies"]
    version = manifest(".")["project"]["version"]
    for extra in core.keys() - {"testing"}:
        assert root[extra] == [f"helicone-gw-core[{extra}]=={version}"]
