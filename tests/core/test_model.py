"""The nouns of an exchange: frozen where they say so, unknown never zero, JSON read once."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import (
    Attempt,
    Chunk,
    Exchange,
    GatewayError,
    Headers,
    MalformedBody,
    Request,
    Response,
    Target,
    Unavailable,
    Usage,
)
from helicone_gw.helicone import EMPTY, parse_helicone_headers


def request(body: bytes | None = b"{}", **changes: object) -> Request:
    plain = Request("POST", "/v1/chat/completions", "", Headers(), body, "openai", "chat", EMPTY)
    return plain.replace(**changes)


def exchange(**changes: object) -> Exchange:
    return Exchange("an-id", request(**changes), 0.0)


def test_a_request_is_replaced_and_never_changed() -> None:
    first = request(model="a")
    second = first.replace(model="b")
    assert (first.model, second.model) == ("a", "b")
    with pytest.raises(AttributeError):
        first.model = "c"  # type: ignore[misc]


def test_a_requests_json() -> None:
    assert request(b'{"model": "m"}').json() == {"model": "m"}
    with pytest.raises(MalformedBody):
        request(b"{").json()
    with pytest.raises(MalformedBody):
        request(b'"\xff"').json()
    with pytest.raises(ValueError, match="streams through"):
        request(None).json()


COUNTS = st.none() | st.integers(0, 10)
NO_COUNTS = ("service_tier", "estimated")
USAGES = st.builds(Usage, **{name: COUNTS for name in Usage.__struct_fields__ if name not in NO_COUNTS})


@given(USAGES, USAGES)
def test_usage_adds_up_class_by_class_and_unknown_is_not_zero(one: Usage, other: Usage) -> None:
    total = one + other
    assert total == other + one
    for name in set(Usage.__struct_fields__) - set(NO_COUNTS):
        known = [value for value in (getattr(one, name), getattr(other, name)) if value is not None]
        assert getattr(total, name) == (sum(known) if known else None)


def test_a_total_is_known_when_either_part_is() -> None:
    assert Usage().total_tokens is None
    assert Usage(input_tokens=0).total_tokens == 0
    assert Usage(input_tokens=3, output_tokens=4, cache_read_tokens=2, reasoning_tokens=1).total_tokens == 7


def test_the_tier_of_a_sum_is_the_first_that_is_known() -> None:
    assert (Usage() + Usage(service_tier="flex")).service_tier == "flex"
    assert (Usage(service_tier="auto") + Usage(service_tier="flex")).service_tier == "auto"


def test_a_sum_is_estimated_when_either_part_is() -> None:
    assert (Usage(1, 1) + Usage(1, 1, estimated=True)).estimated is True
    assert (Usage(1, 1) + Usage(1, 1)).estimated is False


def test_a_json_answer() -> None:
    answer = Response.of_json({"a": 1}, 201, {"X-A": "1"})
    assert answer.status == 201
    assert answer.json() == {"a": 1}
    assert answer.headers.get("content-type") == "application/json"
    assert answer.headers.get("x-a") == "1"


def test_a_json_answer_has_one_content_type_however_it_is_spelled() -> None:
    answer = Response.of_json({}, headers={"Content-Type": "application/problem+json"})
    assert answer.headers.get_all("content-type") == ["application/problem+json"]


def test_an_answer_without_json() -> None:
    with pytest.raises(ValueError, match=r".+"):
        Response(204).json()


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'data: {"a": 1}\n\n', {"a": 1}),
        (b'event: x\ndata: {"a":\ndata: 1}\n\n', {"a": 1}),
        (b"data: [DONE]\n\n", None),
        (b": comment\n\n", None),
        (b"data: \xff\n\n", None),
        (b"data: null\n\n", None),
        (b"", None),
        (b'data: {"a": "\\ud83d!"}\n\n', {"a": "\ufffd!"}),
        (b'data: {"a": "\\ud83d\\ude00", "b": "\\ude00"}\n\n', {"a": "\U0001f600", "b": "\ufffd"}),
        (b'data: {"a": "\xff!"}\n\n', {"a": "\ufffd!"}),
        (b'data:  {"a": 1, "b": NaN}\n\n', {"a": 1, "b": None}),
        (b'data: {"a": \n\n', None),
    ],
)
def test_the_json_of_a_chunk(data: bytes, value: object) -> None:
    assert Chunk(data).json == value


def test_a_chunk_is_decoded_once_and_does_not_show_its_text() -> None:
    chunk = Chunk(b'data: {"secret": 1}\n\n')
    assert chunk.json is chunk.json
    assert repr(chunk) == "Chunk(kind='event', 21 bytes)"


def test_a_target_as_text() -> None:
    assert str(Target("openai", "gpt-4o")) == "openai/gpt-4o"
    assert str(Target("openai")) == "openai"
    assert str(Target("openai", "gpt-4o", deployment="second")) == "openai/gpt-4o (second)"


def test_an_attempt_is_well_only_with_a_status_and_no_error() -> None:
    attempt = Attempt(1, Target("openai"), 0.0)
    assert not attempt.ok
    attempt.status = 200
    assert attempt.ok
    attempt.error = GatewayError("cut")
    assert not attempt.ok


def test_the_clients_own_id_is_shown_and_ours_is_kept() -> None:
    own = "6f6d4a3e-0c1d-4c7b-9d2f-0f8f5c1f0a11"
    named = exchange(helicone=parse_helicone_headers(Headers({"Helicone-Request-Id": own})))
    assert (named.id, named.request_id) == ("an-id", own)
    assert exchange().request_id == "an-id"


def test_annotations_are_read_only_from_outside() -> None:
    one = exchange()
    one.annotate("cache.status", "hit")
    assert one.annotations == {"cache.status": "hit"}


async def test_a_check_runs_at_once_as_a_task() -> None:
    one, ran = exchange(), asyncio.Event()

    async def check() -> None:
        ran.set()

    one.before_commit(check(), timeout=1)
    await ran.wait()


@pytest.mark.virtual_time
async def test_a_check_fails_after_its_timeout() -> None:
    one = exchange()
    one.before_commit(asyncio.Event().wait(), timeout=3, on_failure="open")
    gate = one._before_commit[0]
    await asyncio.wait({gate.task})
    assert isinstance(gate.task.exception(), TimeoutError)
    assert gate.on_failure == "open"
    assert asyncio.get_running_loop().time() == pytest.approx(3)


async def test_no_check_after_commit_and_the_refused_one_leaves_no_warning() -> None:
    one = exchange()
    one.committed = True

    async def check() -> None:
        raise Unavailable("never run")

    with pytest.raises(RuntimeError, match="on its way"):
        one.before_commit(check(), timeout=1)


def test_the_first_reason_to_end_a_stream_holds_and_wakes_its_reader() -> None:
    one, woken = exchange(), []
    one._wake = lambda: woken.append(1)
    one.end_stream("first")
    one.end_stream("second")
    assert one._end_stream == "first"
    assert woken == [1]
