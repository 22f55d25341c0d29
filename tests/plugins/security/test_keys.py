"""How keys are made, hashed and matched."""

import hashlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import GatewayKey
from helicone_gw_security.keys import StaticKeys, StoredKey, digest, digests, generate, shown_prefix


def stored(secret: str, name: str = "alice", **fields: Any) -> StoredKey:
    return StoredKey(GatewayKey(id=f"config:{name}", name=name, owner=name), digest(secret), **fields)


def test_a_new_key_has_helicones_form_and_is_never_the_same() -> None:
    keys = {generate() for _ in range(200)}
    assert len(keys) == 200
    assert all(re.fullmatch(r"sk-helicone(-[a-z0-9]{7}){4}", key) for key in keys)


def test_new_keys_use_every_letter_and_digit() -> None:
    assert set("".join(generate()[12:] for _ in range(300))) == set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_only_a_little_of_a_key_is_shown() -> None:
    assert shown_prefix("sk-helicone-abcdefg-abcdefg-abcdefg-abcdefg") == "sk-helicone-abcd"


def test_the_hash_is_sha_256() -> None:
    assert digest("any-string") == hashlib.sha256(b"any-string").hexdigest()


@given(st.text(min_size=1))
def test_any_text_has_a_hash(secret: str) -> None:
    assert digest(secret) in digests(secret)


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_text_may_be_a_key_however_it_comes_over_the_wire(secret: str) -> None:
    keys = StaticKeys([stored(secret)])
    assert keys.match(secret) is not None
    as_header = secret.encode().decode("latin-1")
    assert keys.match(as_header) is not None


@given(st.text(min_size=1), st.text())
def test_another_secret_is_another_key(secret: str, other: str) -> None:
    keys = StaticKeys([stored(secret)])
    if digest(secret) not in digests(other):
        assert keys.match(other) is None


def test_each_secret_finds_its_own_key() -> None:
    keys = StaticKeys([stored("one", "a"), stored("two", "b")])
    assert [keys.match(secret).key.name for secret in ("one", "two")] == ["a", "b"]  # type: ignore[union-attr]
    assert keys.match("three") is None
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("fields", "now", "valid"),
    [
        ({}, 1e12, True),
        ({"expires_at": 100.0}, 99.9, True),
        ({"expires_at": 100.0}, 100.0, False),
        ({"revoked_at": 50.0}, 10.0, False),
        ({"revoked_at": 50.0, "expires_at": 1e12}, 60.0, False),
    ],
)
def test_validity(fields: dict[str, Any], now: float, valid: bool) -> None:
    assert stored("s", **fields).valid(now) is valid


def test_the_secret_is_nowhere_in_what_is_kept() -> None:
    assert "s3cret-value" not in repr(stored("s3cret-value"))
