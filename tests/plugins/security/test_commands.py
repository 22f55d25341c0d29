"""``helicone-gw keys`` on the command line."""

import asyncio
import json
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from helicone_gw import Database
from helicone_gw_security.config import SecurityConfig
from helicone_gw_security.keys import StoredKey, digest
from helicone_gw_security.plugin import SecurityPlugin
from helicone_gw_security.store import KeyTable

Run = Callable[..., Result]


@pytest.fixture
def run(url: str) -> Run:
    cli = typer.Typer()
    config = SecurityConfig.model_validate(
        {"keys": {"alice": "s3cret-value", "old": {"key": "other", "models": "gpt-4*", "expires": "2020-01-01"}}}
    )

    @cli.callback()
    def main(context: typer.Context) -> None:
        context.obj = SimpleNamespace(config=SimpleNamespace(database=SimpleNamespace(url=url)))

    SecurityPlugin(config, "security").register_commands(cli)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["keys", *arguments])

    return run


def created(run: Run, *arguments: str) -> str:
    result = run("create", *arguments)
    assert result.exit_code == 0, result.output
    return str(result.stdout).strip()


def listed(run: Run) -> dict[str, dict[str, Any]]:
    return {key["name"]: key for key in json.loads(run("list", "--json").stdout)}


def find(url: str, secret: str) -> StoredKey | None:
    async def find() -> StoredKey | None:
        database = Database(url)
        try:
            return await KeyTable(database).find(digest(secret))
        finally:
            await database.close()

    return asyncio.run(find())


def test_create_prints_the_key_alone_on_standard_output(run: Run, url: str) -> None:
    result = run("create", "ci")
    assert re.fullmatch(r"sk-helicone(-[a-z0-9]{7}){4}\n", result.stdout)
    assert "not shown again" in result.stderr
    assert result.stdout.strip() not in result.stderr
    stored = find(url, result.stdout.strip())
    assert stored is not None
    assert stored.key.name == "ci"


def test_create_with_everything(run: Run, url: str) -> None:
    secret = created(
        run,
        "ci",
        *("--owner", "team-a", "--organization", "acme", "--model", "gpt-4*", "--model", "o3"),
        *("--provider", "openai", "--path", "/v1/chat/*", "--expires", "2999-01-01T12:00:00Z"),
    )
    stored = find(url, secret)
    assert stored is not None
    permits = stored.key.permits
    assert (stored.key.owner, stored.key.organization) == ("team-a", "acme")
    assert (permits.models, permits.providers, permits.paths) == (("gpt-4*", "o3"), ("openai",), ("/v1/chat/*",))
    assert listed(run)["ci"]["expires"] == "2999-01-01T12:00:00+00:00"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ci", "--expires", "tomorrow"], "not an ISO 8601 date"),
        (["ci", "--expires", "2020-01-01"], "lies in the past"),
        (["ci", "--path", "v1/chat"], "begins with a slash"),
        ([" "], "must not be empty"),
        (["ci", "--owner", ""], "must not be empty"),
    ],
)
def test_mistakes_are_named_and_make_no_key(run: Run, arguments: list[str], message: str) -> None:
    result = run("create", *arguments)
    assert result.exit_code == 2
    assert message in re.sub(r"[\s│]+", " ", result.output)
    assert set(listed(run)) == {"alice", "old"}


def test_a_name_is_used_once(run: Run) -> None:
    created(run, "ci")
    result = run("create", "ci")
    assert result.exit_code == 1
    assert "A key named 'ci' exists in 'default'" in result.stderr
    assert result.stdout == ""


def test_list_shows_every_key_and_no_secret(run: Run) -> None:
    secret = created(run, "ci")
    for output in (run("list").output, run("list", "--json").output):
        assert secret not in output
        assert secret[:16] in output
        assert digest(secret) not in output
        assert "s3cret-value" not in output
        assert digest("s3cret-value") not in output
        for name in ("alice", "old", "ci"):
            assert name in output
    keys = listed(run)
    assert {name: key["state"] for name, key in keys.items()} == {"alice": "active", "old": "expired", "ci": "active"}
    assert keys["alice"]["id"] == "config:alice"
    assert keys["alice"]["prefix"] is None
    assert keys["old"]["models"] == ["gpt-4*"]
    assert keys["ci"]["models"] is None


def test_revoke_by_name_or_id(run: Run, url: str) -> None:
    secret = created(run, "ci")
    created(run, "other")
    result = run("revoke", "ci")
    assert (result.exit_code, "is revoked" in result.output) == (0, True)
    assert find(url, secret).revoked_at is not None  # type: ignore[union-attr]
    keys = listed(run)
    assert (keys["ci"]["state"], keys["other"]["state"]) == ("revoked", "active")
    assert run("revoke", keys["other"]["id"]).exit_code == 0
    assert listed(run)["other"]["state"] == "revoked"


def test_revoke_says_why_it_cannot(run: Run) -> None:
    unknown = run("revoke", "nobody")
    assert (unknown.exit_code, "No key 'nobody'" in unknown.output) == (1, True)
    configured = run("revoke", "alice")
    assert (configured.exit_code, "in the configuration" in configured.output) == (1, True)
    created(run, "ci")
    created(run, "ci", "--organization", "acme")
    several = run("revoke", "ci")
    assert (several.exit_code, "names several keys" in several.output) == (1, True)
    assert {key["state"] for key in json.loads(run("list", "--json").output) if key["name"] == "ci"} == {"active"}


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(run: Run) -> None:
    result = run("create", "ci")
    assert result.exit_code == 1
    assert "in memory" in result.stderr


def test_the_database_may_lie_in_a_file_that_is_not_there_yet(run: Run, tmp_path: Any) -> None:
    assert not (tmp_path / "test.db").exists()
    assert run("list").exit_code == 0


def test_everything_that_a_key_may_be_given(run: Run, url: str) -> None:
    secret = created(
        run,
        *(
            "ci",
            "--network",
            "10.0.0.0/8",
            "--origin",
            "https://App.example.com",
            "--role",
            "viewer",
            "--scope",
            "read",
        ),
        *("--limit", "100;w=60", "--limit", "5;w=86400;u=cents", "--budget", "25/month", "--provider-key", "main"),
    )
    found = find(url, secret)
    assert found is not None
    key = found.key
    assert (key.permits.networks, key.permits.origins) == (("10.0.0.0/8",), ("https://app.example.com",))
    assert (key.role, key.scope, key.provider_key) == ("viewer", "read", "main")
    assert (key.limits, key.budgets) == (("100;w=60", "5;w=86400;u=cents"), ("25/month",))
    shown = listed(run)["ci"]
    assert (shown["limits"], shown["role"], shown["last_used"]) == (["100;w=60", "5;w=86400;u=cents"], "viewer", None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--network", "10.0.0.1/8"], "no network"), (["--role", "king"], "role:"), (["--limit", "lots"], "is no limit")],
)
def test_what_a_key_cannot_be_given(run: Run, arguments: list[str], message: str) -> None:
    result = run("create", "ci", *arguments)
    assert result.exit_code == 2
    assert message in re.sub(r"[\s│]+", " ", result.output)
    assert "ci" not in listed(run)


def test_rotate_prints_another_secret_and_the_old_one_works_on(run: Run, url: str) -> None:
    old = created(run, "ci")
    result = run("rotate", "ci", "--grace", "1")
    assert result.exit_code == 0, result.output
    new = result.stdout.strip()
    before, after = find(url, old), find(url, new)
    assert before is not None
    assert after is not None
    assert before.key == after.key
    assert before.expires_at is not None
    assert after.expires_at is None
    assert old not in result.output
    assert run("rotate", "ci", "--grace", "0").exit_code == 0
    assert find(url, old) is None
    assert "in the configuration" in run("rotate", "alice").output
    assert "No key" in run("rotate", "nobody").output
