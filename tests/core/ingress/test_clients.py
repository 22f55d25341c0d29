"""Whose address counts as the client's: the connection's, or what trusted proxies say of it."""

import pytest

from helicone_gw import Headers
from helicone_gw.ingress.clients import client_address

TRUSTED = ("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),  # the first is what the client wrote
        ("10.0.0.1", ["203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["203.0.113.7, unknown"], "10.0.0.1"),  # nobody knows whom that proxy had it from
        ("10.0.0.1", [], "10.0.0.1"),
        ("203.0.113.9", ["10.0.0.5"], "203.0.113.9"),  # a stranger's word does not count
        ("", ["203.0.113.7"], ""),
    ],
)
def test_the_last_address_that_no_trusted_proxy_has(peer: str, forwarded: list[str], client: str) -> None:
    headers = Headers([(b"x-forwarded-for", value.encode()) for value in forwarded])
    assert client_address(peer, headers, TRUSTED) == client


def test_a_unix_socket_is_trusted_where_it_is_named() -> None:
    headers = Headers({"x-forwarded-for": "203.0.113.7"})
    assert client_address("", headers, ("unix",)) == "203.0.113.7"
    assert client_address("203.0.113.9", headers, ("unix",)) == "203.0.113.9"


def test_nobody_is_trusted_unless_the_configuration_says_so() -> None:
    assert client_address("127.0.0.1", Headers({"x-forwarded-for": "203.0.113.7"}), ()) == "127.0.0.1"


def test_only_so_many_proxies_are_followed() -> None:
    hops = ", ".join(["203.0.113.7", *["10.0.0.2"] * 50])
    assert client_address("10.0.0.1", Headers({"x-forwarded-for": hops}), TRUSTED) == "10.0.0.2"
