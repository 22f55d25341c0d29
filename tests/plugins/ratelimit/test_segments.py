"""Segments: whose bucket it is, whatever a client puts into a header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import Exchange, GatewayKey, Headers, HeliconeHeaders, Request
from helicone_gw.helicone import Properties
from helicone_gw_ratelimit.limits import tagged
from helicone_gw_ratelimit.segments import ANONYMOUS, MAX_VALUE, clean, segment_value, segment_words


def exchange(user: str | None = None, body_user: str | None = None, **properties: str) -> Exchange:
    helicone = HeliconeHeaders(user_id=user, properties=Properties(properties.items()))
    return Exchange(
        "id", Request("POST", "/", "", Headers(), b"", "openai", "chat", helicone, user=body_user), received_at=0
    )


@given(st.text(st.characters(), max_size=2000) | st.just("\ud800\udfff"))
def test_a_value_is_bounded_and_safe_in_a_key(value: str) -> None:
    safe = clean(value)
    assert len(safe) <= MAX_VALUE
    assert not set(safe) & set(":{}\r\n\x00\x1f\x7f\x85")
    assert safe == safe.strip()
    assert safe.encode().decode() == safe


def test_the_user_is_the_header_s_or_the_body_s() -> None:
    assert segment_words(exchange("alice", "bob"), "user") == ("user", "alice")
    assert segment_words(exchange(None, "bob"), "user") == ("user", "bob")
    assert segment_words(exchange(), "user") == ("user", ANONYMOUS)


def test_a_property_is_found_in_any_case_and_those_without_it_share_one_segment() -> None:
    assert segment_words(exchange(Organization="acme"), "organization") == ("prop", "organization", "acme")
    assert segment_words(exchange(), "organization") == ("prop", "organization", ANONYMOUS)


def test_a_key_is_its_id_and_its_owner_a_segment_too() -> None:
    it = exchange()
    assert segment_value(it, "key") == ANONYMOUS
    it.key = GatewayKey("key-1", "ci", "platform:team")
    assert segment_words(it, "key") == ("key", "key-1")
    assert segment_words(it, "owner") == ("owner", "platform_team")


def test_global_is_everybody() -> None:
    assert segment_words(exchange("alice"), "global") == ("global", "")


@pytest.mark.parametrize("organization", ["default", "a{b}c"])
def test_all_keys_of_an_organization_have_one_tag(organization: str) -> None:
    keys = [tagged(organization, "a", clean("x{y}:z")), tagged(organization, "b")]
    tags = {key[key.index("{") : key.index("}") + 1] for key in keys}
    assert len(tags) == 1
    assert all(key.count("{") == 1 for key in keys)
