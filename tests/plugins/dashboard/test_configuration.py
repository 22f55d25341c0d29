"""Settings of plugins as rows: all of them are there, and no secret is."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr

from helicone_gw import PluginConfig
from helicone_gw_dashboard.configuration import HIDDEN, settings

SECRET = "sk-of-somebody"


class Inner(BaseModel):
    policy: str = "100;w=60"
    api_key: str = SECRET


class Example(PluginConfig):
    size: int = 5
    on: bool = True
    address: str = f"https://user:{SECRET}@example.com/path?signature={SECRET}"
    quiet: str = Field(SECRET, repr=False)
    token: str = SECRET
    password_hash: str = SECRET
    tokens: tuple[str, ...] = (SECRET,)
    key: SecretStr = SecretStr(SECRET)
    several: tuple[SecretStr, ...] = (SecretStr(SECRET),)
    by_name: dict[str, SecretStr] = Field(default_factory=lambda: {"one": SecretStr(SECRET)})
    free: dict[str, str] = Field(default_factory=lambda: {"X-Api-Key": SECRET, "password": SECRET, "colour": "red"})
    nested: tuple[Inner, ...] = (Inner(), Inner(policy="5;w=60"))
    nothing: int | None = None


def test_every_setting_has_a_row_and_those_that_were_set_are_told_apart() -> None:
    rows = {row.path: row for row in settings(Example(size=7))}
    assert (rows["size"].value, rows["size"].usual) == ("7", False)
    assert (rows["on"].value, rows["on"].usual) == ("yes", True)
    assert rows["nothing"].value == "none"
    assert rows["free.colour"].value == "red"
    assert rows["nested.1.policy"].value == "5;w=60"


def test_no_secret_is_in_any_row() -> None:
    rows = settings(Example())
    assert SECRET not in repr(rows)
    hidden = {row.path for row in rows if row.value == HIDDEN}
    named = {"quiet", "token", "password_hash", "tokens", "free.X-Api-Key", "free.password", "nested.0.api_key"}
    assert hidden >= named | {"key", "by_name.one"}
    assert {row.path: row.value for row in rows}["address"] == f"https://{HIDDEN}@example.com/path?…"


def test_numbers_of_tokens_are_no_secrets() -> None:
    class Counts(PluginConfig):
        output_tokens: int = 1024
        token: int = 3

    assert [row.value for row in settings(Counts())] == ["1024", "3"]
