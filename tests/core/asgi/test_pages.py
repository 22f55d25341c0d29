"""What is known of a request for a page before its view: its form, and where its browser goes to log in."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import pytest

from helicone_gw import BadRequest, Headers, PageRequest, PayloadTooLarge
from helicone_gw.asgi.pages import MAX_FIELDS, MAX_FORM, Body, login_address
from helicone_gw.errors import ClientTimeout

FORM = Headers({"content-type": "Application/X-WWW-Form-Urlencoded; charset=utf-8"})
HTML = Headers({"accept": "text/html,application/xhtml+xml"})


def body(*pieces: bytes, headers: Headers = FORM) -> Body:
    messages: deque[Any] = deque(
        {"type": "http.request", "body": piece, "more_body": place < len(pieces)}
        for place, piece in enumerate(pieces, 1)
    )

    async def receive() -> Any:
        return messages.popleft() if messages else {"type": "http.disconnect"}

    return Body(receive, headers, 60)


async def rest(of: Body) -> bytes:
    read = b""
    while True:
        message = await of()
        if message["type"] == "http.disconnect":
            return read
        read += message["body"]


async def test_the_fields_of_a_form_are_read_and_the_page_gets_the_body_all_the_same() -> None:
    of = body(b"a=1&csrf_to", b"ken=t%20x&a=2&e=")
    assert await of.form() == {"a": "1", "csrf_token": "t x", "e": ""}
    assert await of.form() == {"a": "1", "csrf_token": "t x", "e": ""}
    assert await rest(of) == b"a=1&csrf_token=t%20x&a=2&e="


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "", "text/plain"])
async def test_no_other_body_is_read_early(kind: str) -> None:
    of = body(b"csrf_token=1", headers=Headers({"content-type": kind}))
    assert await of.form() == {}
    assert await rest(of) == b"csrf_token=1"


async def test_bytes_that_are_no_text_are_no_fault() -> None:
    assert await body(b"a=\xff&b=%ff").form() == {"a": "\ufffd", "b": "\ufffd"}


async def test_a_form_is_read_within_bounds() -> None:
    with pytest.raises(PayloadTooLarge):
        await body(b"x" * MAX_FORM, b"x").form()
    assert len(await body(b"&".join(b"a%d=" % number for number in range(MAX_FIELDS))).form()) == MAX_FIELDS
    with pytest.raises(BadRequest):
        await body(b"&".join(b"a=" for _ in range(MAX_FIELDS + 1))).form()


async def test_a_form_that_does_not_come_is_not_waited_for_for_ever() -> None:
    async def receive() -> Any:
        await asyncio.Event().wait()

    with pytest.raises(ClientTimeout):
        await Body(receive, FORM, 0.01).form()


async def test_a_client_that_leaves_ends_the_form() -> None:
    of = body()
    assert await of.form() == {}
    assert (await of())["type"] == "http.disconnect"


def page(
    path: str, query: str = "", method: str = "GET", headers: Headers = HTML, websocket: bool = False
) -> PageRequest:
    return PageRequest(method, path, query, headers, "", websocket, False, body().form)


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/", "", "/login"),
        ("/", "tab=1", "/login?next=/%3Ftab%3D1"),
        ("/requests", "a=1&b=%2F#", "/login?next=/requests%3Fa%3D1%26b%3D%252F%23"),
        ("/evil.example/x", "", "/login?next=/evil.example/x"),
        ("/" + "x" * 3000, "", "/login"),
    ],
)
def test_the_browser_comes_back_to_what_it_asked_for(path: str, query: str, expected: str) -> None:
    assert login_address(page(path, query), "/login") == expected


def test_what_a_proxy_took_off_the_path_is_put_before_it() -> None:
    assert login_address(page("/x"), "/login", "/llm") == "/llm/login?next=/x"


@pytest.mark.parametrize(
    "asked",
    [
        page("/x", method="POST"),
        page("/x", headers=Headers({"accept": "application/json"})),
        page("/x", headers=Headers()),
        page("/x", websocket=True),
        page("/login"),
    ],
)
def test_programs_and_changes_are_sent_nowhere(asked: PageRequest) -> None:
    assert login_address(asked, "/login") is None
    assert login_address(page("/x"), None) is None
