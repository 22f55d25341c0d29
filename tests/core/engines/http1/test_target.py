"""Request targets, in each of their forms."""

from __future__ import annotations

import pytest

from helicone_gw.engines.http1.errors import BadMessage
from helicone_gw.engines.http1.target import parse_target, valid_host


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (b"/", ("/", b"/", b"", None)),
        (b"/a/b?c=d?e", ("/a/b", b"/a/b", b"c=d?e", None)),
        (b"/caf%C3%A9%2F%20", ("/café/ ", b"/caf%C3%A9%2F%20", b"", None)),
        (b"/%ff", ("/�", b"/%ff", b"", None)),
        (b"//a/b", ("//a/b", b"//a/b", b"", None)),
        (b"http://h", ("/", b"/", b"", b"h")),
        (b"HTTPS://h:1/a?b", ("/a", b"/a", b"b", b"h:1")),
        (b"http://[::1]:80?x", ("/", b"/", b"x", b"[::1]:80")),
    ],
)
def test_targets(target: bytes, wanted: tuple[str, bytes, bytes, bytes | None]) -> None:
    assert parse_target(target, "GET") == wanted


def test_targets_of_options() -> None:
    assert parse_target(b"*", "OPTIONS") == ("*", b"*", b"", None)
    assert parse_target(b"http://h", "OPTIONS") == ("*", b"*", b"", b"h")
    assert parse_target(b"http://h/", "OPTIONS") == ("/", b"/", b"", b"h")


@pytest.mark.parametrize(
    "target", [b"*", b"a", b"ftp://h/", b"http:///a", b"http://u:p@h/", b"http://a b/", b"/a#b", b"http://h/#", b"a:80"]
)
def test_what_is_no_target(target: bytes) -> None:
    with pytest.raises(BadMessage) as refused:
        parse_target(target, "GET")
    assert refused.value.status == 400


@pytest.mark.parametrize("host", [b"", b"a", b"a.example:80", b"127.0.0.1", b"[::1]", b"[::1]:80", b"a:", b"a_b"])
def test_hosts(host: bytes) -> None:
    assert valid_host(host)


@pytest.mark.parametrize("host", [b"a b", b"a/b", b"a@b", b"a:b", b"::1", b"[a", b"a, b,/", b"\xff", b"a\0"])
def test_what_is_no_host(host: bytes) -> None:
    assert not valid_host(host)
