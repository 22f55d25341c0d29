"""Host names: parsed by the RFCs, compared whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.ingress.hosts import belongs, first_label, is_loopback, split_host


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        ("Example.COM", "example.com", None),
        ("example.com.:80", "example.com", 80),
        ("example.com:", "example.com", None),
        ("127.0.0.1:8787", "127.0.0.1", 8787),
        ("[::1]:8787", "::1", 8787),
        ("[2001:DB8::1]", "2001:db8::1", None),
        ("[::1]x", "", None),
        ("[nonsense]", "", None),
        ("a:65536", "", None),
        ("a:1:2", "", None),
        ("a:²", "", None),
        ("a b", "", None),
        ("a@b", "", None),
        ("a,b", "", None),
        (".", "", None),
        ("", "", None),
    ],
)
def test_split_host(host: str, name: str, port: int | None) -> None:
    assert split_host(host) == (name, port)


@given(st.text(max_size=40))
def test_split_host_takes_any_text(host: str) -> None:
    name, port = split_host(host)

    assert port is None or (name and 0 <= port < 65536)
    assert isinstance(is_loopback(name), bool)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("oai.helicone.ai", "oai"),
        ("oai.eu.hconeai.com", "oai"),
        ("helicone.ai", None),
        ("xhelicone.ai", None),
        ("groq.corp.example", "groq"),
        ("corp.example", None),
        ("localhost", None),
        ("", None),
    ],
)
def test_first_label(name: str, label: str | None) -> None:
    assert first_label(name, ("Corp.Example.", "")) == label


def test_belongs() -> None:
    assert belongs("corp.example", ("corp.example",))
    assert belongs("a.b.corp.example", (".corp.example",))
    assert not belongs("acorp.example", ("corp.example",))
    assert not belongs("anything", ("",))
