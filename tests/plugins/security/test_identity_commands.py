"""``helicone-gw users`` and ``organizations`` on the command line, and what the audit log has of commands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
import typer
from cryptography.fernet import Fernet
from sqlalchemy import insert, select
from typer.testing import CliRunner, Result

from helicone_gw import Database
from helicone_gw_security import user_commands
from helicone_gw_security.audit_log import AuditLog
from helicone_gw_security.config import SecurityConfig
from helicone_gw_security.identity_tables import SESSION
from helicone_gw_security.passwords import Passwords
from helicone_gw_security.plugin import SecurityPlugin
from helicone_gw_security.users import User, UserTable
from tests.plugins.security.people import CHEAP, HASH

Run = Callable[..., Result]
T = TypeVar("T")


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(user_commands, "Passwords", lambda: Passwords(CHEAP))
    cli = typer.Typer()
    config = SecurityConfig.model_validate(
        {
            "users": {"ann@example.com": {"password_hash": HASH, "role": "admin"}},
            "encryption_keys": [Fernet.generate_key().decode()],
        }
    )

    @cli.callback()
    def main(context: typer.Context) -> None:
        context.obj = SimpleNamespace(config=SimpleNamespace(database=SimpleNamespace(url=url)))

    SecurityPlugin(config, "security").register_commands(cli)

    def run(*arguments: str, input: str | None = None, fails: bool = False) -> Result:
        result = CliRunner().invoke(cli, list(arguments), input=input)
        assert (result.exit_code != 0) is fails, result.output
        return result

    return run


def within(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    async def working() -> T:
        database = Database(url)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(working())


def users(run: Run) -> dict[str, dict[str, Any]]:
    return {user["email"]: user for user in json.loads(run("users", "list", "--json").stdout)}


def user(url: str, email: str) -> User:
    async def find(database: Database) -> User:
        (found,) = await UserTable(database).of_email(email)
        return found

    return within(url, find)


def told(url: str, organization: str = "default") -> list[tuple[str, Any]]:
    async def read(database: Database) -> list[tuple[str, Any]]:
        entries = await AuditLog(database).entries(organization, limit=50)
        assert all(entry.actor.endswith("(command line)") and entry.actor_id == "command" for entry in entries)
        return [(entry.action, entry.after) for entry in reversed(entries)]

    return within(url, read)


async def session(database: Database, holder: str) -> None:
    row = {"organization_id": "default", "sha256": "0" * 64, "holder": holder, "address": ""}
    async with database.begin() as connection:
        await connection.execute(insert(SESSION).values(**row, created_at=0, seen_at=0, expires_at=9e9))


async def sessions(database: Database) -> int:
    async with database.connect() as connection:
        return len((await connection.execute(select(SESSION))).all())


def test_a_user_from_being_added_to_being_removed(run: Run, url: str) -> None:
    result = run(
        "users", "add", "New@Example.com", "--role", "viewer", "--name", "New", input="a good password\nsecond line\n"
    )
    assert result.stdout == "new@example.com is viewer of 'default'.\n"
    added = user(url, "new@example.com")
    assert CHEAP.verify(added.password_hash or "", "a good password")
    assert (users(run)["new@example.com"]["role"], users(run)["new@example.com"]["password"]) == ("viewer", True)
    assert users(run)["ann@example.com"]["configured"]
    assert "argon2" not in run("users", "list").stdout

    within(url, lambda database: session(database, f"user:{added.id}"))
    run("users", "set-role", "new@example.com", "admin")
    assert user(url, "new@example.com").role == "admin"
    assert within(url, sessions) == 0
    run("users", "set-password", "new@example.com", input="another password\n")
    assert CHEAP.verify(user(url, "new@example.com").password_hash or "", "another password")
    assert user(url, "new@example.com").temporary_until is None
    run("users", "set-password", "new@example.com", "--temporary", input="for one login\n")
    assert user(url, "new@example.com").temporary_until is not None
    run("users", "remove", "new@example.com")
    assert "new@example.com" not in users(run)
    assert [action for action, _ in told(url)] == [
        "user.create",
        "user.change",
        "user.set_password",
        "user.set_password",
        "user.remove",
    ]
    assert "password" not in str([after for _, after in told(url)])


def test_a_user_without_a_password_waits_for_an_openid_provider(run: Run, url: str) -> None:
    run("users", "add", "sso@example.com", "--no-password")
    assert user(url, "sso@example.com").password_hash is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("users", "add", "nobody"), "not an e-mail address"),
        (("users", "add", "new@example.com", "--role", "root"), "viewer, member, admin"),
        (("users", "add", "ann@example.com"), "in the configuration already"),
        (("users", "set-role", "ann@example.com", "viewer"), "change it there and restart"),
        (("users", "remove", "nobody@example.com"), "no user of 'default'"),
        (("users", "add", "new@example.com", "--organization", "a/b"), "letters, digits"),
        (("organizations", "create", "default"), "There is an organisation"),
        (("organizations", "remove", "nothing"), "There is no organisation"),
    ],
)
def test_what_cannot_be_done_is_told(run: Run, arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments, input="a good password\n", fails=True)
    assert says in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_short_password_will_not_do_and_an_address_is_taken_once(run: Run) -> None:
    assert "10 characters" in run("users", "add", "new@example.com", input="short\n", fails=True).output
    run("users", "add", "new@example.com", input="a good password\n")
    assert "already" in run("users", "add", "new@example.com", input="a good password\n", fails=True).output
    run("users", "add", "new@example.com", "--organization", "other", input="a good password\n")


def test_the_last_administrator_stays_one(run: Run) -> None:
    run("users", "add", "adm@acme.example", "--role", "admin", "--organization", "acme", input="a good password\n")
    for command in (("set-role", "adm@acme.example", "member"), ("remove", "adm@acme.example")):
        refused = run("users", *command, "--organization", "acme", fails=True)
        assert "make somebody else one first" in refused.stderr


def test_the_hash_for_the_file(run: Run) -> None:
    assert CHEAP.verify(run("users", "hash", input="a good password\n").stdout.strip(), "a good password")


def test_organisations(run: Run, url: str) -> None:
    run("organizations", "create", "acme", "--name", "Acme")
    run("organizations", "rename", "acme", "The Acme company")
    run("users", "add", "boss@beta.example", "--organization", "beta", "--no-password")
    listed = {each["id"]: each["name"] for each in json.loads(run("organizations", "list", "--json").stdout)}
    assert listed == {"default": "default", "acme": "The Acme company", "beta": "beta"}
    run("users", "add", "boss@acme.example", "--organization", "acme", "--no-password")
    run("organizations", "remove", "acme", fails=True)
    run("users", "remove", "boss@acme.example", "--organization", "acme")
    run("organizations", "remove", "acme")
    assert [action for action, _ in told(url)] == ["organization.create", "organization.remove"]
    assert [action for action, _ in told(url, "acme")] == ["organization.change", "user.create", "user.remove"]


def test_what_is_done_to_keys_is_told_too_and_no_secret_is(run: Run, url: str) -> None:
    secret = run("keys", "create", "ci", "--model", "gpt-4o*").stdout.strip()
    rotated = run("keys", "rotate", "ci").stdout.strip()
    run("keys", "revoke", "ci")
    run("keys", "revoke", "ci", fails=True)
    run("provider-keys", "add", "main", "--provider", "openai", input="sk-planted-0123456789abcdef\n")
    run("provider-keys", "replace", "main", input="sk-replaced-0123456789abcdef\n")
    run("provider-keys", "rotate")
    run("provider-keys", "remove", "main")
    entries = told(url)
    assert [action for action, _ in entries] == [
        "key.create",
        "key.rotate",
        "key.revoke",
        "provider_key.create",
        "provider_key.replace",
        "provider_key.encrypt",
        "provider_key.remove",
    ]
    assert entries[0][1]["models"] == ["gpt-4o*"]
    for planted in (secret, rotated, "sk-planted-0123456789", "sk-replaced-0123456789"):
        assert planted not in str(entries)


def test_a_key_is_printed_although_the_audit_log_cannot_be_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(self: AuditLog, entry: Any) -> None:
        raise OSError("postgres://user:password@host is away")

    monkeypatch.setattr(AuditLog, "record", away)
    result = run("keys", "create", "ci")
    assert result.stdout.startswith("sk-helicone-")
    assert "The audit log could not be written" in result.stderr
    assert "password" not in result.output
