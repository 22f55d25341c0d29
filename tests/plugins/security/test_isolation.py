"""Two organisations share a provider's key: neither uses, sees or removes what the other left there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from helicone_gw.testing import GatewayFactory, Reply, RunningGateway, ScriptedProvider
from helicone_gw.testing.script import event, of_events, of_json

ONE, TWO = "sk-of-one-0123456789", "sk-of-two-0123456789"
KEYS = {
    "one": {"key": ONE, "organization": "one"},
    "two": {"key": TWO, "organization": "two"},
}
IDS = {
    "files": "file-Aa1Bb2Cc3Dd4Ee5Ff6Gg7H",
    "batches": "batch_0123456789abcdef0123456789abcdef",
    "assistants": "asst_Aa1Bb2Cc3Dd4Ee5Ff6Gg7Hh8",
    "threads": "thread_Aa1Bb2Cc3Dd4Ee5Ff6Gg7Hh8",
    "vector_stores": "vs_0123456789abcdef0123456789abcdef",
    "responses": "resp_0123456789abcdef0123456789abcdef01234567",
    "containers": "cntr_0123456789abcdef0123456789abcdef",
    "conversations": "conv_0123456789abcdef0123456789abcdef",
    "fine_tuning/jobs": "ftjob-Aa1Bb2Cc3Dd4Ee5Ff6Gg7Hh8",
    "videos": "video_0123456789abcdef0123456789abcdef",
    "evals": "eval_0123456789abcdef0123456789abcdef",
    "uploads": "upload_0123456789abcdef0123456789abcdef",
    "messages/batches": "msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d",
    "predictions": "gm3qorzdhgbfurvjtvhg6dckhu",
}
OUTPUT = "file-Zz9Yy8Xx7Ww6Vv5Uu4Tt3S"


class Provider:
    """Keeps what it is told to, for whoever has its key, as providers do."""

    def __init__(self) -> None:
        self.kept: set[str] = set()

    def __call__(self, request: Any) -> Any:
        path = request.path.split("?")[0].partition("/v1/")[2]
        if request.method == "GET" and path in IDS:
            listed = [{"id": IDS[path]}, {"id": "file-OfNobodyThatIsKnown00"}]
            return of_json({"object": "list", "data": listed, "has_more": False, "last_id": listed[-1]["id"]})
        if request.method == "POST" and path in IDS:
            self.kept.add(IDS[path])
            return of_json({"id": IDS[path], "object": "thing"})
        return of_json({"id": path.split("/")[-1], "object": "thing", "output_file_id": OUTPUT})


def plugins(**settings: Any) -> list[Any]:
    return [{"security": {"keys": KEYS, **settings}}]


@pytest.fixture
async def running(gateway: GatewayFactory) -> AsyncIterator[RunningGateway]:
    async with gateway(plugins(), provider=ScriptedProvider(default=Provider())) as made:
        yield made


async def call(running: RunningGateway, key: str, method: str, path: str, body: Any = None, **headers: str) -> Reply:
    given = {"authorization": f"Bearer {key}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if isinstance(body, bytes):
        return await running.request(method, path, content=body, headers=given)
    return await running.request(method, path, json=body, headers=given)


def headers_of(kind: str) -> dict[str, str]:
    return {"anthropic_version": "2023-06-01"} if kind == "messages/batches" else {}


@pytest.fixture
async def filled(running: RunningGateway) -> RunningGateway:
    """Organisation one has made one of each kind."""
    for kind in IDS:
        body = {"model": "gpt-4o", "input": "x"}
        made = await call(running, ONE, "POST", f"/v1/{kind}", body, **headers_of(kind))
        assert (made.status, made.json()["id"]) == (200, IDS[kind])
    return running


async def test_what_one_made_is_not_there_for_the_other(filled: RunningGateway) -> None:
    for kind, name in IDS.items():
        headers, path = headers_of(kind), f"/v1/{kind}/{name}"
        asked = len(filled.provider.requests)
        for method, below in (("GET", ""), ("GET", "/content"), ("POST", "/cancel"), ("DELETE", "")):
            refused = await call(filled, TWO, method, path + below, {} if method == "POST" else None, **headers)
            assert (refused.status, name in refused.json()["error"]["message"]) == (404, True), (kind, method)
        assert len(filled.provider.requests) == asked, "the provider was not asked"
        assert (await call(filled, ONE, "GET", path, **headers)).status == 200
        assert (await call(filled, ONE, "DELETE", path, **headers)).status == 200


async def test_a_refusal_is_in_the_clients_dialect(running: RunningGateway) -> None:
    asked = {"anthropic_version": "2023-06-01"}
    refused = (await call(running, TWO, "GET", f"/v1/messages/batches/{IDS['messages/batches']}", **asked)).json()
    assert (refused["type"], refused["error"]["type"]) == ("error", "not_found_error")


async def test_lists_have_ones_own_alone(filled: RunningGateway) -> None:
    for kind in ("files", "batches", "vector_stores", "fine_tuning/jobs", "messages/batches"):
        headers = headers_of(kind)
        own = (await call(filled, ONE, "GET", f"/v1/{kind}?limit=1&after=x", **headers)).json()
        assert [each["id"] for each in own["data"]] == [IDS[kind]]
        assert own["last_id"] == IDS[kind]
        query = parse_qs(filled.provider.requests[-1].target.partition("?")[2])
        assert query == {"limit": ["100"], "after": ["x"]}
        assert (await call(filled, TWO, "GET", f"/v1/{kind}", **headers)).json()["data"] == []


REFERRING: list[tuple[str, Any]] = [
    ("/v1/responses", {"model": "gpt-4o", "input": "Hi", "previous_response_id": IDS["responses"]}),
    ("/v1/responses", {"model": "gpt-4o", "input": "Hi", "conversation": {"id": IDS["conversations"]}}),
    (
        "/v1/responses",
        {"model": "gpt-4o", "input": [{"content": [{"type": "input_file", "file_id": IDS["files"]}]}]},
    ),
    (
        "/v1/responses",
        {"model": "gpt-4o", "input": "Hi", "tools": [{"type": "code_interpreter", "container": IDS["containers"]}]},
    ),
    (
        "/v1/responses",
        {
            "model": "gpt-4o",
            "input": "Hi",
            "tools": [{"type": "file_search", "vector_store_ids": [IDS["vector_stores"]]}],
        },
    ),
    (
        "/v1/chat/completions",
        {"model": "gpt-4o", "messages": [{"role": "user", "content": [{"file": {"file_id": IDS["files"]}}]}]},
    ),
    ("/v1/batches", {"input_file_id": IDS["files"], "endpoint": "/v1/responses", "completion_window": "24h"}),
    ("/v1/fine_tuning/jobs", {"model": "gpt-4o", "training_file": IDS["files"]}),
    ("/v1/threads/runs", {"assistant_id": IDS["assistants"]}),
    ("/v1/vector_stores", {"file_ids": [IDS["files"]]}),
    ("/v1/containers", {"name": "x", "file_ids": [IDS["files"]]}),
]


async def test_bodies_refer_to_ones_own_alone(filled: RunningGateway) -> None:
    for path, body in REFERRING:
        asked = len(filled.provider.requests)
        assert (await call(filled, TWO, "POST", path, body)).status == 404, body
        escaped = json.dumps(body).replace("_", "\\u005f").encode()
        assert (await call(filled, TWO, "POST", path, escaped, content_type="application/json")).status == 404, body
        assert len(filled.provider.requests) == asked, "the provider was not asked"
        assert (await call(filled, ONE, "POST", path, body)).status == 200


async def test_no_letters_of_another_kind_hide_an_id(filled: RunningGateway) -> None:
    """Some servers read JSON in UTF-16 and UTF-32, forms with bare line feeds, and parts that are encoded."""
    text = json.dumps({"training_file": IDS["files"], "model": "gpt-4o"})
    form = f'--x\nContent-Disposition: form-data; name="file_id"\n\n {IDS["files"]}\n--x--\n'
    quoted = form.replace("\n\n", "\nContent-Transfer-Encoding: quoted-printable\n\n").replace("file-", "=66ile-")
    for body, kind, status in (
        (text.encode("utf-16"), "application/json", 404),
        (text.encode("utf-32-be"), "application/json", 404),
        (text.encode("utf-16-le"), "text/plain", 404),
        (text.replace('"', "+ACI-").encode(), "application/json; charset=utf-7", 415),
        (form.encode(), "multipart/form-data; boundary=x", 404),
        (quoted.encode(), "multipart/form-data; boundary=x", 415),
        (f"file_id=%66{IDS['files'][1:]}&x=1".encode(), "application/x-www-form-urlencoded", 404),
    ):
        asked = len(filled.provider.requests)
        refused = await call(filled, TWO, "POST", "/v1/fine_tuning/jobs", body, content_type=kind)
        assert refused.status == status, (kind, refused.body)
        assert all(IDS["files"].encode() not in each.body for each in filled.provider.requests[asked:])


async def test_a_target_that_a_client_names_is_part_of_the_path(filled: RunningGateway) -> None:
    """The path of ``Helicone-Target-URL`` stands before the request's own."""
    asked = len(filled.provider.requests)
    for path, target in (
        ("/openai/content", f"https://api.openai.com/v1/files/{IDS['files']}/content"),
        (f"/openai/{IDS['files']}", "https://api.openai.com/v1/files"),
        ("/v1/models", f"https://api.openai.com/v1/%66iles/{IDS['files']}"),
    ):
        entries = json.dumps([{"target-url": target, "headers": {}, "onCodes": [500]}])
        for name, value in (
            ("helicone_target_url", target),
            ("helicone_openai_api_base", target),
            ("helicone_fallbacks", entries),
        ):
            refused = await call(filled, TWO, "GET", path, **{name: value})
            assert refused.status in (400, 404), (path, name, refused.body)
    assert len(filled.provider.requests) == asked, "the provider was not asked"


async def test_too_many_parameters_cannot_be_looked_through(filled: RunningGateway) -> None:
    query = "&".join(f"x{number}=1" for number in range(1200))
    assert (await call(filled, ONE, "GET", f"/v1/files/{IDS['files']}?{query}")).status == 400


async def test_wherever_it_stands_anothers_id_is_found(filled: RunningGateway) -> None:
    for member in ("FILE_ID", "anything"):
        body = {"model": "gpt-4o", "input": [{"content": [{"type": "input_file", member: IDS["files"]}]}]}
        assert (await call(filled, TWO, "POST", "/v1/responses", body)).status == 404


async def test_words_that_look_like_ids_are_words(filled: RunningGateway) -> None:
    words = ["file_search", "run_the_tests", "video_tutorial", "container_file_citation", "thread_count"]
    body = {"model": "gpt-4o", "input": "batch_size", "metadata": dict.fromkeys(words, words[0])}
    assert (await call(filled, TWO, "POST", "/v1/responses", body)).status == 200


async def test_uploads_are_looked_through(filled: RunningGateway) -> None:
    line = json.dumps({"body": {"input": [{"type": "input_file", "file_id": IDS["files"]}]}}).encode()
    parts = b'--x\r\nContent-Disposition: form-data; name="file"; filename="b.jsonl"\r\n\r\n' + line + b"\r\n--x--\r\n"
    kind = "multipart/form-data; boundary=x"
    assert (await call(filled, TWO, "POST", "/v1/files", parts, content_type=kind)).status == 404
    assert (await call(filled, ONE, "POST", "/v1/files", parts, content_type=kind)).status == 200
    field = b'--x\r\nContent-Disposition: form-data; name="file_id"\r\n\r\n' + IDS["files"].encode() + b"\r\n--x--\r\n"
    assert (await call(filled, TWO, "POST", "/v1/containers", field, content_type=kind)).status == 404
    packed = await call(filled, TWO, "POST", "/v1/files", b"abc", content_type=kind, content_encoding="gzip")
    assert packed.status == 415


@pytest.mark.parametrize(("unknown", "status"), [("refuse", 404), ("allow", 200)])
async def test_lines_of_a_batch_name_nothing_that_nobody_knows(
    gateway: GatewayFactory, unknown: str, status: int
) -> None:
    asked = {"input": [{"type": "input_file", "file_id": "file-OfNobodyThatIsKnown001"}]}
    lines = [json.dumps(line) for line in ({"body": asked, "custom_id": "a"}, {"custom_id": "b", "body": asked})]
    kind = "multipart/form-data; boundary=x"
    async with gateway(plugins(objects={"unknown": unknown}), provider=ScriptedProvider(default=Provider())) as running:

        async def upload(text: str) -> int:
            head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="b.jsonl"\r\n\r\n'
            body = head + text.encode() + b"\r\n--x--\r\n"
            return (await call(running, ONE, "POST", "/v1/files", body, content_type=kind)).status

        for line in lines:
            assert await upload(line) == status
            assert await upload(line + "\n" + " " * 5000 + lines[0]) == status
        assert await upload(json.dumps(asked)) == 200, "what is no batch may tell of anything"
        assert await upload(json.dumps({"custom_id": "c", "text": "see file-OfNobodyThatIsKnown001"})) == 200


async def test_datasets_and_connectors_of_coheres_are_their_makers(gateway: GatewayFactory) -> None:
    name = "sales-wdlq4d"
    provider = ScriptedProvider(default=of_json({"id": name}))
    async with gateway(plugins(), provider=provider, config={"providers": {"cohere": {"api_key": "c"}}}) as running:
        assert (await call(running, ONE, "POST", "/cohere/v1/datasets?name=sales", {})).status == 200
        for path, body in (
            ("/cohere/v1/embed-jobs", {"model": "embed-v4", "dataset_id": name}),
            ("/cohere/v1/finetuning/finetuned-models", {"name": "x", "settings": {"dataset_id": name}}),
            ("/cohere/v1/chat", {"message": "x", "connectors": [{"id": "web-search"}, {"options": {}, "id": name}]}),
        ):
            for key, status in ((ONE, 200), (TWO, 404)):
                assert (await call(running, key, "POST", path, body)).status == status, path
        outside = {"model": "embed-v4", "dataset_id": "made-outside"}
        assert (await call(running, ONE, "POST", "/cohere/v1/embed-jobs", outside)).status == 404
        search = {"message": "x", "connectors": [{"id": "web-search"}]}
        assert (await call(running, TWO, "POST", "/cohere/v1/chat", search)).status == 200


async def test_what_a_provider_makes_of_ones_own_is_ones_own(filled: RunningGateway) -> None:
    """A batch's output is a file that nobody uploaded."""
    assert (await call(filled, ONE, "GET", f"/v1/batches/{IDS['batches']}")).json()["output_file_id"] == OUTPUT
    assert (await call(filled, ONE, "GET", f"/v1/files/{OUTPUT}/content")).status == 200
    assert (await call(filled, TWO, "GET", f"/v1/files/{OUTPUT}/content")).status == 404


async def test_a_fallback_in_a_header_refers_to_ones_own_alone(filled: RunningGateway) -> None:
    fallback = [
        {
            "target-url": "https://api.openai.com",
            "headers": {"Authorization": "Bearer x"},
            "onCodes": [500],
            "bodyKeyOverride": {"previous_response_id": IDS["responses"]},
        }
    ]
    body = {"model": "gpt-4o", "input": "Hi"}
    asked = await call(filled, TWO, "POST", "/v1/responses", body, helicone_fallbacks=json.dumps(fallback))
    assert asked.status in (400, 404)


OUTSIDE = "file-OfNobodyThatIsKnown001"


@pytest.mark.parametrize(
    ("objects", "one", "two"),
    [
        ({}, 404, 404),
        ({"unknown": "allow"}, 200, 200),
        ({"unknown_of": "one"}, 200, 404),
        ({"isolate": False}, 200, 200),
    ],
)
async def test_what_was_made_outside(gateway: GatewayFactory, objects: Any, one: int, two: int) -> None:
    async with gateway(plugins(objects=objects), provider=ScriptedProvider(default=Provider())) as running:
        for key, status in ((ONE, one), (TWO, two)):
            assert (await call(running, key, "GET", f"/v1/files/{OUTSIDE}")).status == status
            body = {"model": "gpt-4o", "input": [{"content": [{"type": "input_file", "file_id": OUTSIDE}]}]}
            assert (await call(running, key, "POST", "/v1/responses", body)).status == status
            listed = (await call(running, key, "GET", "/v1/files")).json()["data"]
            assert len(listed) == (0 if status == 404 else 1 if objects == {"unknown_of": "one"} else 2) or objects


async def test_a_key_of_ones_own_reaches_what_is_ones_own_there_alone(filled: RunningGateway) -> None:
    own = {"helicone_auth": f"Bearer {TWO}"}
    mine = await call(filled, "sk-own-key-at-openai", "GET", f"/v1/files/{OUTSIDE}", **own)
    assert mine.status == 200
    assert filled.provider.requests[-1].headers.get("authorization") == "Bearer sk-own-key-at-openai"
    elsewhere = await call(filled, "sk-own-key-at-openai", "GET", f"/groq/openai/v1/files/{OUTSIDE}", **own)
    assert filled.provider.requests[-1].headers.get("authorization") == "Bearer sk-own-key-at-openai"
    assert elsewhere.status in (200, 401, 403, 404)


async def test_one_organisation_has_everything(gateway: GatewayFactory) -> None:
    only = [{"security": {"keys": {"one": KEYS["one"]}}}]
    async with gateway(only, provider=ScriptedProvider(default=Provider())) as running:
        assert (await call(running, ONE, "GET", f"/v1/files/{OUTSIDE}")).status == 200
        assert len((await call(running, ONE, "GET", "/v1/files")).json()["data"]) == 2


async def test_it_is_remembered_after_a_restart(gateway: GatewayFactory, tmp_path: Any) -> None:
    config = {"database": {"url": f"sqlite:///{tmp_path}/kept.db"}}
    provider = ScriptedProvider(default=Provider())
    only = [{"security": {"keys": {"one": KEYS["one"]}}}]
    async with gateway(only, provider=provider, config=config) as running:
        assert (await call(running, ONE, "POST", "/v1/files", {})).status == 200
    async with gateway(plugins(), provider=provider, config=config) as running:
        assert (await call(running, TWO, "GET", f"/v1/files/{IDS['files']}")).status == 404
        assert (await call(running, ONE, "GET", f"/v1/files/{IDS['files']}")).status == 200


STREAM = of_events(
    event({"type": "response.created", "response": {"id": IDS["responses"], "object": "response", "output": []}}),
    event(
        {
            "type": "response.output_item.done",
            "item": {"type": "code_interpreter_call", "container_id": IDS["containers"]},
        }
    ),
    event({"type": "response.completed", "response": {"id": IDS["responses"], "object": "response", "output": []}}),
)


async def test_what_a_stream_made_is_its_makers(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(STREAM, default=of_json({"id": "x"}))
    async with gateway(plugins(), provider=provider) as running:
        body = {"model": "gpt-4o", "input": "Hi", "stream": True}
        assert (await call(running, ONE, "POST", "/v1/responses", body)).status == 200
        for path in (f"/v1/responses/{IDS['responses']}", f"/v1/containers/{IDS['containers']}/files"):
            assert (await call(running, ONE, "GET", path)).status == 200
            assert (await call(running, TWO, "GET", path)).status == 404


async def test_a_stranger_s_metadata_makes_nothing_his(gateway: GatewayFactory) -> None:
    """An answer repeats what a client said, and that says nothing of whose an object is."""
    metadata = {"file_id": OUTSIDE, "container_id": IDS["containers"]}
    answered = of_json({"id": IDS["threads"], "object": "thread", "metadata": metadata})
    async with gateway(plugins(), provider=ScriptedProvider(default=answered)) as running:
        assert (await call(running, TWO, "POST", "/v1/threads", {})).status == 200
        assert (await call(running, TWO, "GET", f"/v1/threads/{IDS['threads']}")).status == 200
        assert (await call(running, TWO, "GET", f"/v1/files/{OUTSIDE}")).status == 404


async def test_googles_names_are_kept_apart(gateway: GatewayFactory) -> None:
    def answered(request: Any) -> Any:
        if request.method == "GET" and request.path.split("?")[0].endswith("/files"):
            return of_json({"files": [{"name": "files/report"}, {"name": "files/other"}], "nextPageToken": "t"})
        return of_json({"file": {"name": "files/report"}, "candidates": []})

    async with gateway(plugins(), provider=ScriptedProvider(default=answered)) as running:

        async def ask(key: str, method: str, path: str, body: Any = None) -> Reply:
            return await running.request(method, path, json=body, headers={"x-goog-api-key": key})

        assert (await ask(ONE, "POST", "/upload/v1beta/files", {})).status == 200
        part = {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/report"}}
        asked = {"contents": [{"parts": [part]}]}
        for key, status, listed in ((ONE, 200, 1), (TWO, 404, 0)):
            assert (await ask(key, "GET", "/v1beta/files/report")).status == status
            assert (await ask(key, "POST", "/v1beta/models/gemini-2.5-flash:generateContent", asked)).status == status
            assert len((await ask(key, "GET", "/v1beta/files")).json()["files"]) == listed
        generate = "/v1beta/models/gemini-2.5-flash:generateContent"
        for end in ("?alt=media", "#x", "/"):
            asked["contents"][0]["parts"][0]["fileData"]["fileUri"] = part["fileData"]["fileUri"].rstrip("/#x") + end
            assert (await ask(TWO, "POST", generate, asked)).status == 404, end
        escaped = (
            json.dumps({"fileUri": "https://x/files/report"}).replace(":", "\\u003a", 2).replace("\\u003a", ":", 1)
        )
        fields = {"x-goog-api-key": TWO, "content-type": "application/json"}
        assert (await running.request("POST", generate, content=escaped.encode(), headers=fields)).status == 404
        stores = {"tools": [{"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/mine", "files/report"]}}]}
        assert (await ask(TWO, "POST", generate, stores)).status == 404
        cached = {
            "model": "gemini-2.5-flash",
            "messages": [],
            "extra_body": {"google": {"cached_content": "files/report"}},
        }
        assert (await call(running, TWO, "POST", "/v1/chat/completions", cached)).status == 404


async def test_a_list_that_cannot_be_read_is_not_shown(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=of_json({"everything": [{"id": IDS["files"]}]}))
    async with gateway(plugins(), provider=provider) as running:
        refused = await call(running, ONE, "GET", "/v1/files")
        assert (refused.status, IDS["files"] in refused.body.decode()) == (502, False)


async def test_an_id_that_a_client_may_choose_stays_its_first_makers(gateway: GatewayFactory) -> None:
    """Some servers make a response's id of what the client says."""
    provider = ScriptedProvider(default=of_json({"id": IDS["responses"], "object": "response", "output": []}))
    async with gateway(plugins(), provider=provider) as running:
        body = {"model": "gpt-4o", "input": "Hi"}
        for key, status in ((ONE, 200), (TWO, 404)):
            assert (await call(running, key, "POST", "/v1/responses", body)).status == 200
            assert (await call(running, key, "GET", f"/v1/responses/{IDS['responses']}")).status == status


async def test_ids_of_mistrals_are_uuids(gateway: GatewayFactory) -> None:
    name = "0e4e8b7c-7a53-4f0c-8a55-0c5a3f1f4b11"
    async with gateway(plugins(), provider=ScriptedProvider(default=of_json({"id": name}))) as running:
        assert (await call(running, ONE, "POST", "/v1/files", {})).status == 200
        for key, status in ((ONE, 200), (TWO, 404)):
            assert (await call(running, key, "GET", f"/v1/files/{name}")).status == status
            assert (await call(running, key, "POST", "/v1/batch/jobs", {"input_files": [name]})).status == status
            for form in (
                name.upper(),
                name.replace("-", ""),
                f"urn:uuid:{name}",
                f"{{{name}}}",
            ):  # as many servers read it
                assert (await call(running, key, "GET", f"/v1/files/{form}")).status == status, form
                assert (await call(running, key, "POST", "/v1/batch/jobs", {"input_files": [form]})).status == status
                assert (await call(running, key, "GET", f"/v1/ocr?file_id={form}")).status == status, form


async def test_no_spelling_of_a_path_shows_the_list(filled: RunningGateway) -> None:
    for path in ("/v1/files/", "/v1/FILES", "/v1/%66iles", "/v1/files;x=1", "/openai/v1/files", "/v1/files?limit=1"):
        told = await call(filled, TWO, "GET", path)
        assert IDS["files"] not in told.body.decode(), path
    for path in (f"/v1/files;x/{IDS['files']}", f"/v1/files/{IDS['files']};x=1", f"/v1/Files/{IDS['files']}/content"):
        asked = len(filled.provider.requests)
        assert (await call(filled, TWO, "GET", path)).status in (400, 404), path
        assert len(filled.provider.requests) == asked, path


async def test_where_another_routes_first_it_holds_all_the_same(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=Provider())
    async with gateway(["router", *plugins()], provider=provider) as running:
        assert (await call(running, ONE, "POST", "/v1/files", {})).status == 200
        assert (await call(running, TWO, "GET", f"/v1/files/{IDS['files']}")).status == 404
        assert (await call(running, ONE, "GET", f"/v1/files/{IDS['files']}")).status == 200
