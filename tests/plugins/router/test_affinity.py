"""Ids that a target made lead back to it."""

from __future__ import annotations

import zlib

import pytest

from helicone_gw import Capture, Exchange, Headers, HeliconeHeaders, Request, Response, Target
from helicone_gw.store import MemoryStore
from helicone_gw.testing import VirtualClock
from helicone_gw_router.affinity import Memory
from helicone_gw_router.references import (
    LARGEST_SEARCHED,
    MAX_IDS,
    container_in,
    id_made,
    ids_of,
    may_leave_container,
)


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


def gemini(path: str, body: bytes | None = b"{}", operation: str = "files") -> Request:
    return request(path, body, operation).replace(dialect="gemini")


@pytest.mark.parametrize(
    ("one", "ids"),
    [
        (gemini("/v1beta/files/abc-123", b""), ["files/abc-123"]),
        (gemini("/v1beta/files/abc-123:download", b""), ["files/abc-123"]),
        (gemini("/v1beta/cachedContents/xyz", b"", "cachedContents"), ["cachedContents/xyz"]),
        (gemini("/v1beta/batches/b1:cancel", b"", "batches"), ["batches/b1"]),
        (gemini("/v1beta/files", b""), []),
        (
            gemini(
                "/v1beta/models/gemini-2.5-flash:generateContent",
                b'{"cachedContent": "cachedContents/xyz", "contents": [{"parts": [{"fileData": '
                b'{"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc-123"}}]}]}',
                "generate_content",
            ),
            ["cachedContents/xyz", "files/abc-123"],
        ),
        (
            gemini("/x", b'{"cached_content":"projects/p/locations/l/cachedContents/12"}', "stream_generate_content"),
            ["cachedContents/12"],
        ),
        (
            gemini("/x", b'{"file_uri": "files/a", "text": "\\"fileUri\\": \\"files/b\\""}', "generate_content"),
            ["files/a"],
        ),
        (gemini("/x", b'{"fileUri": "gs://bucket/files/a.pdf"}', "generate_content"), []),
        (gemini("/v1beta/models/files/x:generateContent", b"{}", "generate_content"), []),
    ],
)
def test_names_of_geminis(one: Request, ids: list[str]) -> None:
    assert ids_of(one) == ids


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b'{"container": "container_011CPR5CNjB747bTd36fQLFk"}', ["container_011CPR5CNjB747bTd36fQLFk"]),
        (b'{"container": {"skills": [{"skill_id": "pptx"}], "id": "container_01ab"}}', ["container_01ab"]),
        (b'{"messages": [{"role": "user", "content": "my \\"container_01ab\\""}]}', []),
        (b'{"tools": [{"name": "code_execution", "type": "code_execution_20250825"}]}', []),
    ],
)
def test_containers_of_anthropics(body: bytes, ids: list[str]) -> None:
    assert ids_of(request("/v1/messages", body, "messages")) == ids


def test_answers_that_may_name_a_container() -> None:
    def may(body: bytes | None, operation: str = "messages") -> bool:
        return may_leave_container(request("/v1/messages", body, operation))

    assert may(b'{"tools": [{"type": "code_execution_20250825"}]}')
    assert may(b'{"container": {"skills": []}}')
    assert not may(b'{"messages": []}')
    assert not may(None)
    assert not may(b'{"container": "cntr_1"}', "responses")


def test_the_container_of_an_answer() -> None:
    answer = b'{"content": [{"text": "\\"container\\""}], "container": {"expires_at": "x", "id": "container_01ab"}}'
    assert container_in(answer) == "container_01ab"
    assert container_in(b'{"container": null}') is None
    packed = zlib.compressobj(wbits=31)
    assert container_in(packed.compress(answer) + packed.flush(), "gzip") == "container_01ab"
    assert container_in(zlib.compress(b" " * LARGEST_SEARCHED + answer), "deflate") is None


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
    cache = exchange(b'{"name": "cachedContents/xyz", "model": "models/m"}', operation="cachedContents")
    cache.request = cache.request.replace(dialect="gemini")
    assert id_made(cache) == "cachedContents/xyz"
    cache = exchange(b'{"name": "projects/p/locations/l/cachedContents/12"}', operation="cachedContents")
    cache.request = cache.request.replace(dialect="vertex")
    assert id_made(cache) == "cachedContents/12"
    upload = exchange(b'{"file": {"name": "files/abc", "uri": "https://x/v1beta/files/abc"}}', operation="files")
    upload.request = upload.request.replace(dialect="gemini")
    assert id_made(upload) == "files/abc"


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
