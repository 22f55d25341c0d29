"""``helicone-gw plugin new`` writes a distribution that works as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner, Result

from helicone_gw.commands import scaffold
from helicone_gw.commands.scaffold import plugin_app


def new(*arguments: str) -> Result:
    return CliRunner().invoke(plugin_app, ["new", *arguments])


@pytest.fixture
def written(tmp_path: Path) -> Path:
    target = tmp_path / "it"
    result = new("audit-trail", "--directory", str(target))
    assert result.exit_code == 0, result.output
    return target


def test_every_file_is_there(written: Path) -> None:
    files = {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()}
    assert files == {
        "README.md",
        "pyproject.toml",
        "helicone_gw_audit_trail/__init__.py",
        "helicone_gw_audit_trail/plugin.py",
        "helicone_gw_audit_trail/py.typed",
        "tests/test_plugin.py",
    }
    assert len(scaffold.TEMPLATES) == len(files)


def test_the_metadata_say_what_the_registry_looks_for(written: Path) -> None:
    project = tomllib.loads((written / "pyproject.toml").read_text())["project"]
    assert project["name"] == "helicone-gw-audit-trail"
    points = {"audit-trail": "helicone_gw_audit_trail.plugin:AuditTrailPlugin"}
    assert project["entry-points"] == {"helicone_gw.plugins": points}
    (core,) = map(Requirement, project["dependencies"])
    assert core.name == "helicone-gw-core"
    assert core.specifier.contains(version("helicone-gw-core"))


def test_no_template_is_left_unfilled(written: Path) -> None:
    for path in written.rglob("*"):
        if path.is_file():
            assert not re.search(r"{{ |{%", path.read_text()), path


def test_what_it_says_to_do_next(tmp_path: Path) -> None:
    result = new("audit-trail", "--directory", str(tmp_path / "it"))
    assert f"pip install -e '{tmp_path / 'it'}[test]'" in result.output
    assert "- audit-trail: {greeting: hello}" in result.output


@pytest.mark.slow
def test_its_own_tests_pass(written: Path) -> None:
    # Installing it would take far longer than running it: on the path it is the same code, found through the class.
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=written,
        env={**os.environ, "PYTHONPATH": str(written), "PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    passed = re.search(r"(\d+) passed", result.stdout)
    assert passed is not None
    assert int(passed[1]) > 40
    assert "failed" not in result.stdout


@pytest.mark.parametrize("tool", [["check"], ["format", "--check"]])
def test_it_is_clean_to_the_linter(written: Path, tool: list[str]) -> None:
    command = [sys.executable, "-m", "ruff", *tool, "--isolated", "--line-length", "120", "."]
    result = subprocess.run(command, cwd=written, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Audit",
        "audit_trail",
        "audit trail",
        "-audit",
        "audit-",
        "audit--trail",
        "1st",
        "../up",
        "é",
        "a" * 41,
        "a\nb",
    ],
)
def test_what_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    target = tmp_path / "it"
    result = new("--directory", str(target), "--", name)
    assert (result.exit_code, target.exists()) == (2, False)
    assert "is not a plugin name" in result.output


@pytest.mark.parametrize("name", ["core", "logging", "cost"])
def test_a_name_that_is_taken_is_refused(name: str, tmp_path: Path) -> None:
    result = new(name, "--directory", str(tmp_path / "it"))
    assert result.exit_code == 2
    assert "is taken" in result.output


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "mine.txt"):
        result = new("audit", "--directory", str(place))
        assert result.exit_code == 2
        assert "is not an empty directory" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_a_directory_it_goes_into_one_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert new("audit").exit_code == 0
    assert (tmp_path / "helicone-gw-audit" / "helicone_gw_audit" / "plugin.py").exists()
