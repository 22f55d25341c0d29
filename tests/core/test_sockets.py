"""Sockets: where the gateway is reached, whom it shares its port with, and who does not get it."""

from __future__ import annotations

import itertools
import socket
from typing import Any

import pytest

from helicone_gw import ConfigError, GatewayConfig
from helicone_gw.sockets import claim, listen, url_at, url_of


def config(**server: Any) -> GatewayConfig:
    return GatewayConfig.model_validate({"server": server})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8787"),
        ("0.0.0.0", "http://127.0.0.1:8787"),
        ("::", "http://[::1]:8787"),
        ("::1", "http://[::1]:8787"),
        ("[::1]", "http://[::1]:8787"),
        ("gateway.example", "http://gateway.example:8787"),
    ],
)
def test_the_url_of_an_address(host: str, url: str) -> None:
    assert url_at(host, 8787) == url


def test_the_url_of_an_address_behind_a_certificate() -> None:
    assert url_at("0.0.0.0", 8787, tls=True) == "https://127.0.0.1:8787"
    assert url_at("::", 8787, tls=True) == "https://[::1]:8787"


def test_a_listener_says_where_it_is() -> None:
    with listen(config(port=0)) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener) == f"http://127.0.0.1:{port}"
        refused_to_others(config(port=port))
        with socket.create_connection(("127.0.0.1", port)):
            pass


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_workers_share_a_port_that_nobody_else_can_have(host: str) -> None:
    with claim(config(host=host, port=0)) as claimed:
        ours = config(host=host, port=claimed.getsockname()[1])
        refused_to_others(ours)  # from the beginning
        with listen(ours, shared=True) as first, listen(ours, shared=True) as second:
            assert first.getsockname() == second.getsockname() == claimed.getsockname()
            refused_to_others(ours)
            for _ in range(20):
                socket.create_connection(claimed.getsockname()[:2], timeout=10).close()
            assert accepted(first) + accepted(second) == 20, "the claim itself takes none"


def refused_to_others(ours: GatewayConfig) -> None:
    host, port = ours.server.host, ours.server.port
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    for have in (claim, listen):
        with pytest.raises(ConfigError) as refusal:
            have(ours).close()
        (problem,) = refusal.value.problems
        assert problem == (
            f"server: cannot listen on {address}: Address already in use; "
            "stop the program that listens there, or choose another server.port"
        )


def accepted(listener: socket.socket) -> int:
    for number in itertools.count():
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return number
    raise AssertionError


@pytest.mark.parametrize("shared", [True, False])
def test_a_port_can_be_claimed_right_after_somebody_left_it(shared: bool) -> None:
    with listen(config(port=0), shared=shared) as before:
        before.setblocking(True)
        ours = config(port=before.getsockname()[1])
        with socket.create_connection(before.getsockname()) as client:
            before.accept()[0].close()  # first, so that the connection lingers on this side
            assert client.recv(1) == b""
    with claim(ours), listen(ours, shared=True), listen(ours, shared=True):
        pass
