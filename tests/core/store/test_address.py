"""Addresses of stores: every form, and what is wrong with others, without a word of what they hold."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.store import Address, parse_address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("memory://", Address("memory")),
        ("redis://host", Address("redis", hosts=(("host", 6379),))),
        ("redis://host:7000/3", Address("redis", hosts=(("host", 7000),), db=3)),
        ("redis://host/?db=2", Address("redis", hosts=(("host", 6379),), db=2)),
        ("redis://[::1]:7000", Address("redis", hosts=(("::1", 7000),))),
        ("redis://:pass@host", Address("redis", hosts=(("host", 6379),), password="pass")),
        ("rediss://me:p%40%2F%3Ass@host", Address("redis", True, (("host", 6379),), username="me", password="p@/:ss")),
        ("redis://me@host", Address("redis", hosts=(("host", 6379),), username="me")),
        ("unix:///run/redis%20x.sock", Address("unix", path="/run/redis x.sock")),
        ("unix://me:pw@/run/r.sock?db=4", Address("unix", path="/run/r.sock", db=4, username="me", password="pw")),
        ("redis+cluster://a:1,b:2", Address("cluster", hosts=(("a", 1), ("b", 2)))),
        ("rediss+cluster://u:p@a,b/", Address("cluster", True, (("a", 6379), ("b", 6379)), username="u", password="p")),
        ("redis+sentinel://a,b:2/main", Address("sentinel", hosts=(("a", 26379), ("b", 2)), service="main")),
        (
            "rediss+sentinel://u:p@a/ma%20in/5?sentinel_username=su&sentinel_password=s%26p",
            Address(
                "sentinel",
                True,
                (("a", 26379),),
                service="ma in",
                db=5,
                username="u",
                password="p",
                sentinel_username="su",
                sentinel_password="s&p",
            ),
        ),
    ],
)
def test_forms(url: str, address: Address) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis", "a scheme and :// are missing"),
        ("memcached://SECRET", "is one of memory://, redis://"),
        ("memory://SECRET", "nothing after it"),
        ("redis://", "should name a host"),
        ("redis://:SECRET@", "should name a host"),
        ("redis://:SEC/RET@host", "a password's own /"),
        ("redis://:SEC?RET@host", "knows db"),
        ("redis://:SEC#RET@host", "%23"),
        ("redis://host:SECRET", "should name a host"),
        ("redis://host:99999", "no port"),
        ("redis://host:0", "no port"),
        ("redis://::1", "should name a host"),
        ("redis://host/SECRET", "number of the database"),
        ("redis://host/-1", "number of the database"),
        ("redis://host?password=SECRET", "knows db"),
        ("redis://a,b", "redis+cluster"),
        ("redis+cluster://a/1", "one database"),
        ("redis+cluster://a?db=1", "it takes none"),
        ("redis+cluster://a,,b", "should name a host"),
        ("redis+sentinel://a", "names no service"),
        ("redis+sentinel://a//3", "names no service"),
        ("redis+sentinel://a/main/x", "number of the database"),
        ("unix://", "absolute path"),
        ("unix://host/path", "no host"),
    ],
)
def test_what_is_wrong_with_others(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        parse_address(url)
    assert "SEC" not in str(caught.value)


@given(
    st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30), st.sampled_from(["host", "1.2.3.4", "[::1]"])
)
def test_any_password_travels_encoded(user: str, password: str, host: str) -> None:
    def encodable(text: str) -> bool:
        return not any(0xD800 <= ord(char) < 0xE000 for char in text)

    if not encodable(user + password):
        return
    address = parse_address(f"redis://{quote(user, safe='')}:{quote(password, safe='')}@{host}:1/2")
    assert (address.username, address.password) == (user, password)
    assert address.hosts == ((host.strip("[]"), 1),)


@given(st.text(max_size=60))
def test_anything_else_is_refused_in_words(text: str) -> None:
    for scheme in ("redis://", "redis+cluster://", "redis+sentinel://", "unix://", ""):
        try:
            address = parse_address(scheme + text)
        except ValueError:
            continue
        assert address.kind == "unix" or all(name and 0 < port < 65536 for name, port in address.hosts)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("memory://", "memory"),
        ("redis://me:SECRET@host", "Redis"),
        ("rediss://host", "Redis over TLS"),
        ("unix:///path", "Redis on a unix socket"),
        ("rediss+cluster://a,b", "Redis Cluster over TLS"),
        ("redis+sentinel://a,b/x", "Redis, found by 2 sentinels"),
    ],
)
def test_what_is_shown_of_one(url: str, shown: str) -> None:
    address = parse_address(url)
    assert address.shown == shown
    assert "SECRET" not in repr(address)
