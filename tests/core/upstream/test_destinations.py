"""Where users have something sent to: any public address over https, pinned, and nothing inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from helicone_gw import BadRequest, UpstreamConnectError, UpstreamProtocolError, UpstreamTimeout
from helicone_gw.upstream.destinations import MAX_ANSWER, Destinations

PUBLIC = "93.184.216.34"


def answer(status: int, body: bytes, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))


class Web:
    """Names and their addresses, and what is sent there."""

    def __init__(self, **names: str) -> None:
        self.names = {name.replace("_", "."): address for name, address in names.items()}
        self.seen: list[httpx.Request] = []
        self.answer: Any = answer(200, b"ok")

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        if host not in self.names:
            raise OSError("unknown")
        return self.names[host].split(",")

    async def send(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]

    def destinations(self, *allowed: str) -> Destinations:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.send))
        return Destinations(lambda: client, allowed, resolve=self.resolve)


async def test_what_is_sent_goes_to_the_address_that_was_checked_under_its_own_name() -> None:
    web = Web(hooks_example_com=PUBLIC)
    answered = await web.destinations().send(
        "https://hooks.example.com:8443/in?token=a%2Fb", content=b"{}", headers={"x-signature": "s"}
    )
    assert (answered.status, answered.body) == (200, b"ok")
    (request,) = web.seen
    assert str(request.url) == f"https://{PUBLIC}:8443/in?token=a%2Fb"
    assert request.headers["host"] == "hooks.example.com:8443"
    assert request.extensions["sni_hostname"] == "hooks.example.com"
    assert (request.headers["x-signature"], request.content) == ("s", b"{}")


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/in",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
        "https://inside.example.com/",
        "https://both.example.com/",
        "https://metadata.example.com/",
        "https://user:pa55w0rd@hooks.example.com/",
        "ftp://hooks.example.com/",
        "unix:/var/run/docker.sock",
        "hooks.example.com",
        "",
    ],
)
async def test_what_is_refused_is_called_by_nobody(url: str) -> None:
    web = Web(
        hooks_example_com=PUBLIC,
        inside_example_com="10.1.2.3",
        both_example_com=f"{PUBLIC},192.168.0.1",
        metadata_example_com="169.254.169.254",
    )
    with pytest.raises(BadRequest) as refusal:
        await web.destinations().send(url)
    assert refusal.value.code == "destination_not_allowed"
    assert "pa55w0rd" not in refusal.value.message
    assert not web.seen


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9000/in"),
        ("10.1.0.0/16", "http://inside.example.com/in"),
        ("inside.example.com", "https://inside.example.com/in"),
        ("inside.example.com:9000", "http://inside.example.com:9000/in"),
    ],
)
async def test_what_is_listed_may_be_inside(allowed: str, url: str) -> None:
    web = Web(inside_example_com="10.1.2.3")
    assert (await web.destinations(allowed).send(url)).status == 200
    with pytest.raises(BadRequest):
        await web.destinations().send(url)


async def test_a_name_that_is_rebound_afterwards_changes_nothing() -> None:
    web = Web(hooks_example_com=PUBLIC)
    destinations = web.destinations()
    await destinations.check("https://hooks.example.com/")
    web.names["hooks.example.com"] = "127.0.0.1"
    with pytest.raises(BadRequest):
        await destinations.send("https://hooks.example.com/")
    assert not web.seen


async def test_redirects_are_answers() -> None:
    web = Web(hooks_example_com=PUBLIC)
    web.answer = answer(302, b"", location="http://169.254.169.254/")
    assert (await web.destinations().send("https://hooks.example.com/")).status == 302
    assert len(web.seen) == 1


async def test_of_a_long_answer_the_beginning_is_kept() -> None:
    web = Web(hooks_example_com=PUBLIC)
    web.answer = answer(500, b"x" * (MAX_ANSWER * 3))
    answered = await web.destinations().send("https://hooks.example.com/")
    assert (answered.status, len(answered.body)) == (500, MAX_ANSWER)


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (httpx.ConnectError("to https://hooks.example.com/?secret"), UpstreamConnectError),
        (httpx.ReadTimeout("of https://hooks.example.com/?secret"), UpstreamTimeout),
        (httpx.RemoteProtocolError("from https://hooks.example.com/?secret"), UpstreamProtocolError),
    ],
)
async def test_failures_do_not_tell_the_address(problem: Exception, told: type[Exception]) -> None:
    web = Web(hooks_example_com=PUBLIC)
    web.answer = problem
    with pytest.raises(told) as failure:
        await web.destinations().send("https://hooks.example.com/?secret")
    assert "secret" not in str(failure.value)


async def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(UpstreamConnectError):
        await Web().destinations().check("https://nowhere.example.com/")
