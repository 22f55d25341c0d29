"""``helicone-gw provider-keys`` on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from helicone_gw_security.ciphers import Cipher, new_encryption_key
from helicone_gw_security.config import SecurityConfig
from helicone_gw_security.plugin import SecurityPlugin

SECRET = "sk-provider-0123456789abcdefghij"
OLD, NEW = new_encryption_key(), new_encryption_key()
Run = Callable[..., Result]


@pytest.fixture
def run(url: str) -> Run:
    def run(*arguments: str, input: str = "", keys: tuple[str, ...] = (OLD,), at: str = url) -> Result:
        cli = typer.Typer()

        @cli.callback()
        def main(context: typer.Context) -> None:
            context.obj = SimpleNamespace(config=SimpleNamespace(database=SimpleNamespace(url=at)))

        config = SecurityConfig.model_validate({"encryption_keys": list(keys)})
        SecurityPlugin(config, "security").register_commands(cli)
        return CliRunner().invoke(cli, ["provider-keys", *arguments], input=input)

    return run


def listed(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("list", "--json").stdout)
    return found


def test_the_secret_comes_from_standard_input_and_is_shown_nowhere(run: Run) -> None:
    added = run("add", "main", "--provider", "OpenAI", "--shared", input=f"{SECRET}\n")
    assert added.exit_code == 0, added.output
    (key,) = listed(run)
    assert (key["name"], key["provider"], key["shared"]) == ("main", "openai", True)
    for result in (added, run("list"), run("list", "--json")):
        assert SECRET not in result.output


@pytest.mark.parametrize(("secret", "problem"), [("", "printable ASCII"), ("two words\n", "printable ASCII")])
def test_what_is_no_key_is_refused(run: Run, secret: str, problem: str) -> None:
    result = run("add", "main", "--provider", "openai", input=secret)
    assert result.exit_code == 1
    assert problem in result.output
    assert listed(run) == []


def test_replaced_and_removed_by_name_or_id(run: Run) -> None:
    run("add", "main", "--provider", "openai", input=SECRET)
    assert "exists" in run("add", "main", "--provider", "openai", input=SECRET).output
    (before,) = listed(run)
    assert run("replace", "main", input="sk-another-provider-key-of-somebody").exit_code == 0
    (after,) = listed(run)
    assert after["id"] == before["id"]
    assert after["hint"] != before["hint"]
    assert run("remove", before["id"]).exit_code == 0
    assert run("remove", "main").exit_code == 1
    assert run("replace", "main", input=SECRET).exit_code == 1


def test_after_rotation_the_old_encryption_key_may_go(run: Run) -> None:
    for name in ("one", "two"):
        run("add", name, "--provider", "openai", input=SECRET)
    refused = run("rotate", keys=(NEW,))
    assert refused.exit_code == 1
    assert "2 cannot be read" in refused.output
    rotated = run("rotate", keys=(NEW, OLD))
    assert "2 of 2" in rotated.output
    assert "2 encrypted anew" in rotated.output
    assert "0 encrypted anew" in run("rotate", keys=(NEW,)).output


def test_without_an_encryption_key_nothing_is_kept(run: Run) -> None:
    result = run("add", "main", "--provider", "openai", input=SECRET, keys=())
    assert result.exit_code == 1
    assert "new-encryption-key" in result.output
    assert "in memory" in run("list", at="sqlite://").output


def test_a_new_encryption_key_is_one(run: Run) -> None:
    made = run("new-encryption-key", keys=()).stdout.strip()
    assert repr(Cipher(SecurityConfig.model_validate({"encryption_keys": made}).encryption_keys)) == "Cipher()"
