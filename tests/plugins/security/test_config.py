"""The YAML block of ``security``."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from helicone_gw_security.config import SecurityConfig
from helicone_gw_security.keys import digest

SECRET = "s3cret-value"


def config(**keys: Any) -> SecurityConfig:
    return SecurityConfig.model_validate({"keys": keys})


def problems(**keys: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        config(**keys)
    return str(raised.value)


def test_without_keys_there_are_none() -> None:
    assert SecurityConfig().stored() == []


def test_a_secret_alone_makes_a_key_that_may_do_everything() -> None:
    (stored,) = config(alice=SECRET).stored()
    assert stored.sha256 == digest(SECRET)
    assert (stored.key.id, stored.key.name, stored.key.owner) == ("config:alice", "alice", "alice")
    assert stored.key.organization == "default"
    assert stored.key.permits.allows_model("anything")
    assert stored.key.permits.allows_path("/v1/files")
    assert stored.expires_at is None


def test_a_mapping_says_more() -> None:
    (stored,) = config(
        ci={
            "key": SECRET,
            "owner": "team-a",
            "organization": "acme",
            "models": ["gpt-4*", "o3"],
            "providers": "openai",
            "paths": ["/v1/chat/*"],
            "expires": "2027-06-30",
        }
    ).stored()
    assert (stored.key.owner, stored.key.organization) == ("team-a", "acme")
    permits = stored.key.permits
    assert (permits.models, permits.providers, permits.paths) == (("gpt-4*", "o3"), ("openai",), ("/v1/chat/*",))
    assert stored.expires_at == datetime(2027, 6, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("secret", ["x", "any-string-may-be-a-key", "mit Leerzeichen ü", " ", "Bearer a, Bearer b"])
def test_any_text_that_is_not_empty_may_be_a_key(secret: str) -> None:
    assert config(a=secret).stored()[0].sha256 == digest(secret)


@pytest.mark.parametrize("entry", ["", {"key": ""}])
def test_an_empty_key_is_refused(entry: Any) -> None:
    assert "the key is empty: give it a value, or take its entry out" in problems(alice=entry)


@pytest.mark.parametrize(
    ("expires", "moment"),
    [
        ("2027-06-30", datetime(2027, 6, 30, tzinfo=UTC)),
        ("2027-06-30T18:00:00Z", datetime(2027, 6, 30, 18, tzinfo=UTC)),
        ("2027-06-30T18:00:00", datetime(2027, 6, 30, 18, tzinfo=UTC)),
        ("2027-06-30T18:00:00+02:00", datetime(2027, 6, 30, 16, tzinfo=UTC)),
        (date(2027, 6, 30), datetime(2027, 6, 30, tzinfo=UTC)),
        (datetime(2027, 6, 30, 18), datetime(2027, 6, 30, 18, tzinfo=UTC)),
        (datetime(2027, 6, 30, 18, tzinfo=timezone(timedelta(hours=2))), datetime(2027, 6, 30, 16, tzinfo=UTC)),
    ],
)
def test_expiry_is_iso_and_utc_unless_it_says_so(expires: Any, moment: datetime) -> None:
    assert config(a={"key": SECRET, "expires": expires}).stored()[0].expires_at == moment.timestamp()


@pytest.mark.parametrize("expires", [2027, 1.5, True, "soon", "30.06.2027", ""])
def test_any_other_expiry_is_refused(expires: Any) -> None:
    assert "not an ISO 8601 date or date-time" in problems(a={"key": SECRET, "expires": expires})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (12345, "a key is text (put quotes round a number), or a mapping with `key`"),
        (None, "a key is text"),
        ([SECRET], "a key is text"),
        ({}, "Field required"),
        ({"key": SECRET, "model": ["gpt-4"]}, "Extra inputs are not permitted"),
        ({"key": SECRET, "paths": ["v1/chat"]}, "'v1/chat' matches no path: a path begins with a slash"),
        ({"key": SECRET, "models": []}, "at least 1 item"),
        ({"key": SECRET, "models": [""]}, "at least 1 character"),
        ({"key": SECRET, "owner": ""}, "at least 1 character"),
        ({"key": 5, "owner": "x"}, "valid string"),
    ],
)
def test_mistakes_are_named(entry: Any, message: str) -> None:
    assert message in problems(alice=entry)


def test_two_names_for_one_secret_are_refused() -> None:
    assert "the keys 'alice' and 'bob' are the same" in problems(alice=SECRET, bob={"key": SECRET})


@pytest.mark.parametrize(
    "keys",
    [
        {"alice": SECRET, "bob": SECRET},
        {"alice": {"key": SECRET, "unknown": 1}},
        {"alice": {"kye": SECRET}},
        {"alice": [SECRET]},
        {"alice": {"key": [SECRET]}},
        {"alice": SECRET, "": "other"},
    ],
)
def test_no_error_shows_a_secret(keys: dict[str, Any]) -> None:
    assert SECRET not in problems(**keys)


def test_no_representation_shows_a_secret() -> None:
    built = config(alice=SECRET)
    assert SECRET not in repr(built)
    assert SECRET not in str(built.model_dump())
    assert SECRET not in built.model_dump_json()


def test_without_secrets_everything_else_is_left() -> None:
    bare = config(alice={"key": SECRET, "owner": "team-a"}).without_secrets()
    assert bare.keys["alice"].owner == "team-a"
    assert bare.keys["alice"].key.get_secret_value() == ""


@pytest.mark.parametrize(
    ("keys", "valid"),
    [
        ({"alice": "text"}, True),
        ({"alice": {"key": "text", "models": "gpt-4", "expires": "2027-01-01"}}, True),
        ({"alice": {"key": "text", "models": ["gpt-4"]}}, True),
        ({"alice": {"key": "text", "model": "gpt-4"}}, False),
        ({"alice": 5}, False),
    ],
)
def test_the_schema_for_editors_knows_both_forms(keys: Any, valid: bool) -> None:
    validator = jsonschema.Draft202012Validator(SecurityConfig.model_json_schema())
    assert validator.is_valid({"keys": keys}) is valid
