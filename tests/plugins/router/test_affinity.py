"""Ids that a target made lead back to it."""

from __future__ import annotations

import zlib

import pytest

from helicone_gw import Capture, Exchange, Headers, HeliconeHeaders, Request, Response, Target
from helicone_gw.store import MemoryStore
from helicone_gw.testing import VirtualClock
from helicone_gw_router.affinity import MAX_IDS, Memory, id_made, ids_of


def request(
    path: str = "/v1/responses", body: bytes | None = b"{}", operation: str = "responses", method: str = "POST"
) -> Request:
    return Request(method, path, "", Headers(), body, "openai", operation, HeliconeHeaders())


@pytest.mark.parametrize(
    ("path", "body", "ids"),
    [
        ("/v1/responses/resp_0123abc", b"", ["resp_0123abc"]),
        ("/v1/files/file-AbC123/content", b"", ["file-AbC123"]),
        ("/v1/threads/thread_abcd/runs/run_efgh", b"", ["thread_abcd", "run_efgh"]),
        ("/v1/fine_tuning/jobs/ftjob-abc123/events", b"", ["ftjob-abc123"]),
        ("/v1/messages/batches/msgbatch_01Abc", b"", ["msgbatch_01Abc"]),
        ("/v1/responses", b'{"previous_response_id": "resp_1234"}', ["resp_1234"]),
        ("/v1/responses", b'{"conversation":{"id":"conv_1234"}}', ["conv_1234"]),
        ("/v1/batches", b'{"input_file_id" : "file-1234"}', ["file-1234"]),
        ("/v1/files", b"", []),
        ("/v1/models/file-like-model", b'{"input": "resp_1234"}', ["file-like-model"]),
        ("/v1/files/resp_", None, []),
    ],
)
def test_what_a_request_refers_to(path: str, body: bytes | None, ids: list[str]) -> None:
    assert ids_of(request(path, body)) == ids


def test_what_refers_to_nothing_is_not_searched() -> None:
    assert ids_of(request(body=b'{"previous_response_id": "resp_1234"}', operation="chat")) == []
    assert ids_of(request(body=b'{"file_id": "resp_1234"}', operation="chat")) == []


@pytest.mark.parametrize(
    ("operation", "body", "ids"),
    [
        ("chat", b'{"messages":[{"content":[{"type":"file","file":{"file_id":"file-AbC1"}}]}]}', ["file-AbC1"]),
        ("messages", b'{"messages":[{"content":[{"source":{"type":"file","file_id": "file_011C"}}]}]}', ["file_011C"]),
    ],
)
def test_files_of_a_conversation(operation: str, body: bytes, ids: list[str]) -> None:
    assert ids_of(request(body=body, operation=operation)) == ids


def test_few_are_looked_up() -> None:
    body = b",".join(b'{"file_id": "file-%04d"}' % number for number in range(20))
    assert len(ids_of(request(body=body))) == MAX_IDS


def exchange(body: bytes, status: int = 200, headers: dict[str, str] | None = None, **changes: str) -> Exchange:
    one = Exchange("id", request(**changes), 0.0)  # type: ignore[arg-type]
    one.response = Response(status, Headers(headers or {}))
    one.response_capture = Capture(body, False, len(body))
    return one


STREAM = b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_68abc","object":"response"'


def test_what_an_answer_made() -> None:
    assert id_made(exchange(b'{\n  "id": "file-abc123",\n  "object": "file"}', operation="files")) == "file-abc123"
    assert id_made(exchange(STREAM)) == "resp_68abc"
    packed = zlib.compressobj(wbits=31)
    data = packed.compress(b'{"id": "batch_abcd"}') + packed.flush()
    assert id_made(exchange(data, headers={"content-encoding": "gzip"}, operation="batches")) == "batch_abcd"


@pytest.mark.parametrize(
    "one",
    [
        exchange(b'{"id": "chatcmpl-abcd"}', operation="chat"),
        exchange(b'{"id": "file-abc123"}', status=400),
        exchange(b'{"id": "file-abc123"}', method="GET"),
        exchange(b'{"id": "something else"}'),
        exchange(b"\x1f\x8b broken", headers={"content-encoding": "gzip"}),
    ],
)
def test_what_made_nothing(one: Exchange) -> None:
    assert id_made(one) is None


async def test_ids_are_their_owners_and_forgotten_in_time() -> None:
    clock = VirtualClock()
    memory = Memory(MemoryStore(clock), "router", 10)
    await memory.remember("alice", "file-1", Target("azure", "m", deployment="east"))
    assert await memory.find("alice", ["file-0", "file-1"]) == ("azure", None, "east")
    assert await memory.find("bob", ["file-1"]) is None
    clock.advance(10)
    assert await memory.find("alice", ["file-1"]) is None
