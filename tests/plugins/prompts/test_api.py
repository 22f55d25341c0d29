"""The REST API of prompts: bodies, envelopes, refusals, roles."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import AuditEntry, GatewayKey, KeySource, Plugin, hookimpl
from helicone_gw.testing import GatewayFactory
from tests.plugins.prompts.running import BODY, CHAT, made, rest

pytestmark = pytest.mark.virtual_time
BASE = "/v1/prompt-2025"


class Roles(Plugin):
    """A source of a key for each role."""

    @hookimpl
    async def startup(self, gateway: Any) -> None:
        gateway.keys.register(_Keys())


class _Keys(KeySource):
    @property
    def configured(self) -> bool:
        return True

    async def lookup(self, secret: str) -> GatewayKey | None:
        if secret.startswith("role-"):
            role: Any = secret.removeprefix("role-")
            return GatewayKey(id=secret, name=secret, owner=secret, role=role)
        return None

    async def knows(self, secret: str) -> bool:
        return secret.startswith("role-")


async def test_a_prompts_life(gateway: GatewayFactory) -> None:
    async with gateway(["prompts"]) as running:
        prompt, version = await made(running, name="Greeting")
        shown = await rest(running, "GET", f"{BASE}/id/{prompt}")
        assert shown == {"id": prompt, "name": "Greeting", "tags": [], "created_at": "2026-01-01T00:00:00.000+00:00"}
        assert await rest(running, "POST", f"{BASE}/id/{prompt}/rename", {"name": "Hello"}) is None
        assert await rest(running, "PATCH", f"{BASE}/id/{prompt}/tags", {"tags": ["b", "a"]}) == ["a", "b"]
        assert await rest(running, "GET", f"{BASE}/tags") == ["a", "b"]
        assert await rest(running, "GET", f"{BASE}/count") == 1
        query = {"search": "hel", "tagsFilter": ["a"], "page": 0, "pageSize": 10}
        assert [each["name"] for each in await rest(running, "POST", f"{BASE}/query", query)] == ["Hello"]
        assert await rest(running, "POST", f"{BASE}/query", {**query, "page": 1}) == []
        (one,) = await rest(running, "POST", f"{BASE}/query", query)
        assert (one["versions"], one["environments"]) == (1, {"production": "1.0"})
        assert one["changed_at"] >= one["created_at"]
        update = {
            "promptId": prompt,
            "promptVersionId": version,
            "newMajorVersion": True,
            "environment": "staging",
            "commitMessage": "better",
            "promptBody": {**BODY, "model": "gpt-4o"},
        }
        second = (await rest(running, "POST", f"{BASE}/update", update))["id"]
        assert await rest(running, "GET", f"{BASE}/environments") == ["production", "staging"]
        totals = await rest(running, "POST", f"{BASE}/query/total-versions", {"promptId": prompt})
        assert totals == {"totalVersions": 2, "majorVersions": 2}
        found = await rest(running, "POST", f"{BASE}/query/versions", {"promptId": prompt, "majorVersion": 2})
        assert [(each["id"], each["model"], each["commit_message"]) for each in found] == [(second, "gpt-4o", "better")]
        place = {"promptId": prompt, "promptVersionId": second, "environment": "staging"}
        assert await rest(running, "POST", f"{BASE}/remove/environment", place) is None
        assert await rest(running, "POST", f"{BASE}/update/environment", {**place, "environment": "production"}) is None
        assert await rest(running, "DELETE", f"{BASE}/{prompt}/{version}") is None
        assert await rest(running, "DELETE", f"{BASE}/{prompt}") is None
        await rest(running, "GET", f"{BASE}/id/{prompt}", status=404)
        await rest(running, "POST", f"{BASE}/query/version", {"promptVersionId": second}, status=404)


async def test_a_version_comes_with_a_url_or_with_its_body(gateway: GatewayFactory) -> None:
    keys = {"security": {"keys": {"alice": "sk-alice-0123456789"}}}
    async with gateway([keys, "prompts"]) as running:
        key = "sk-alice-0123456789"
        prompt, version = await made(running, key=key)
        asked = {
            "version": {"promptVersionId": version},
            "production-version": {"promptId": prompt},
            "environment-version": {"promptId": prompt, "environment": "production"},
        }
        for which, body in asked.items():
            one = await rest(running, "POST", f"{BASE}/query/{which}", body, key=key)
            two = await rest(running, "POST", f"/v2/prompt-2025/query/{which}", body, key=key)
            assert {name: one[name] for name in one if name != "s3_url"} == {
                name: two[name] for name in two if name != "prompt_body"
            }
            assert (one["id"], one["major_version"], one["minor_version"]) == (version, 1, 0)
            assert two["prompt_body"] == BODY
            url = one["s3_url"].removeprefix("http://127.0.0.1:8787")
            fetched = await running.request("GET", url)  # as Helicone's clients do: without a key
            assert (fetched.status, fetched.json()) == (200, BODY)
        for wrong in (url.partition("?")[0], url[:-1], url.replace("/body/", "/id/")):
            assert (await running.request("GET", wrong)).status in (401, 403)
        as_provider = {"authorization": f"Bearer {url.partition('?key=')[2]}"}
        refused = await running.request("POST", CHAT, json={"prompt_id": prompt}, headers=as_provider)
        assert refused.status == 403
        assert running.provider.requests == []


async def test_behind_a_proxy_the_url_of_a_body_is_the_proxys(gateway: GatewayFactory) -> None:
    async with gateway(["prompts"]) as running:
        _, version = await made(running)
        headers = {"x-forwarded-proto": "https, http", "host": "localhost"}
        path, body = f"{BASE}/query/version", {"promptVersionId": version}
        url = (await running.request("POST", path, json=body, headers=headers)).json()["data"]["s3_url"]
        assert url.startswith(f"https://localhost{BASE}/body/{version}?key=")


async def test_every_edit_is_told_to_the_audit_log(gateway: GatewayFactory) -> None:
    told: list[AuditEntry] = []

    class Sink:
        async def record(self, entry: AuditEntry) -> None:
            told.append(entry)

    async with gateway(["roles", "prompts"], classes={"roles": Roles}) as running:
        running.gateway.audit.register(Sink())
        prompt, first = await made(running, key="role-member")
        placed = {"promptId": prompt, "promptVersionId": first}
        change = {**placed, "promptBody": BODY, "environment": "dev"}
        second = (await rest(running, "POST", f"{BASE}/update", change, key="role-member"))["id"]
        at = {"promptId": prompt, "promptVersionId": second, "environment": "dev"}
        edits: list[tuple[str, str, Any]] = [
            ("POST", "/remove/environment", at),
            ("POST", "/update/environment", {**placed, "environment": "staging"}),
            ("POST", f"/id/{prompt}/rename", {"name": "Other"}),
            ("PATCH", f"/id/{prompt}/tags", {"tags": ["a"]}),
            ("DELETE", f"/{prompt}/{second}", None),
            ("DELETE", f"/{prompt}", None),
        ]
        for method, path, body in edits:
            await rest(running, method, BASE + path, body, key="role-member")
            refused = await running.request(
                method, BASE + path, json=body, headers={"authorization": "Bearer role-viewer"}
            )
            assert refused.status == 403
        await rest(running, "DELETE", f"{BASE}/{prompt}", key="role-member", status=404)
    assert [(entry.action, entry.after) for entry in told] == [
        ("prompt.create", {"name": "A prompt", "version": first}),
        ("prompt.update", {"version": second, "environment": "dev"}),
        ("prompt.leave", {"version": second, "environment": "dev"}),
        ("prompt.move", {"version": first, "environment": "staging"}),
        ("prompt.change", {"name": "Other"}),
        ("prompt.change", {"tags": ["a"]}),
        ("prompt.delete_version", {"version": second}),
        ("prompt.delete", None),
    ], "what was done, in that order, and nothing that was refused"
    assert {(entry.subject, entry.actor) for entry in told} == {(f"prompt:{prompt}", "role-member")}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("POST", "", {"name": "x"}, 400, "promptBody"),
        ("POST", "", {"name": "", "promptBody": {}}, 400, "length >= 1"),
        ("POST", "", {"name": "x", "promptBody": []}, 400, "Expected `object`"),
        ("POST", "", {"name": "x", "promptBody": {"messages": [{}]}}, 400, "messages[0].role"),
        ("POST", "/query", {"pageSize": 0}, 400, "pageSize"),
        ("POST", "/query/environment-version", {"promptId": "x", "environment": "a b"}, 400, "environment"),
        ("POST", "/query/production-version", {"promptId": "x"}, 404, "There is no prompt 'x'"),
        ("POST", "/query/versions", {"promptId": "x"}, 404, "There is no prompt 'x'"),
        ("POST", "/query/compare", {"promptId": "x"}, 404, "There is no prompt 'x'"),
        ("PATCH", "/id/x/tags", {"tags": []}, 404, "There is no prompt 'x'"),
        ("DELETE", "/x", None, 404, "There is no prompt 'x'"),
        ("DELETE", "/x/y", None, 404, "There is no version 'y'"),
        ("GET", "/id/x/y/inputs", None, 404, "no inputs"),
        ("GET", f"/id/x/y/inputs?requestId={'z' * 70_000}", None, 404, "no inputs"),
        ("GET", "/id/x%00y", None, 404, "nothing of that name"),
        ("POST", "/query/version", {"promptVersionId": "x\0"}, 400, "regex"),
        ("POST", "", {"name": "x\0", "promptBody": {}}, 400, "regex"),
        ("POST", "", {"name": "x", "promptBody": {"model": "x\0"}}, 400, "model"),
        ("POST", "/query/environment-version", {"promptId": "x", "environment": "dev\n"}, 400, "environment"),
    ],
)
async def test_what_is_refused(
    gateway: GatewayFactory, method: str, path: str, body: Any, status: int, told: str
) -> None:
    async with gateway(["prompts"]) as running:
        assert told in await rest(running, method, BASE + path, body, status=status)


async def test_bodies_that_are_no_json(gateway: GatewayFactory) -> None:
    async with gateway(["prompts"]) as running:
        for content in (b"{", b"[" * 5_000, b'{"search": "\xff"}'):
            answer = await running.request("POST", f"{BASE}/query", content=content)
            assert (answer.status, answer.json()["data"]) == (400, None)


async def test_viewers_read_and_members_edit(gateway: GatewayFactory) -> None:
    async with gateway(["roles", "prompts"], classes={"roles": Roles}) as running:
        prompt, version = await made(running, key="role-member")
        place = {"promptId": prompt, "promptVersionId": version, "environment": "dev"}
        edits = [
            ("POST", "", {"name": "x", "promptBody": {}}),
            ("POST", f"/id/{prompt}/rename", {"name": "x"}),
            ("PATCH", f"/id/{prompt}/tags", {"tags": []}),
            ("POST", "/update", {**place, "promptBody": {}, "commitMessage": ""}),
            ("POST", "/update/environment", place),
            ("POST", "/remove/environment", place),
            ("DELETE", f"/{prompt}/{version}", None),
            ("DELETE", f"/{prompt}", None),
        ]
        for method, path, body in edits:
            told = await rest(running, method, BASE + path, body, key="role-viewer", status=403)
            assert "role 'member'" in told
        assert await rest(running, "GET", f"{BASE}/count", key="role-viewer") == 1
        await rest(running, "POST", f"{BASE}/query/versions", {"promptId": prompt}, key="role-viewer")
        assert await rest(running, "DELETE", f"{BASE}/{prompt}", key="role-admin") is None


async def test_two_instances_have_one_api(gateway: GatewayFactory) -> None:
    async with gateway(["prompts", {"prompts": {"name": "again"}}]) as running:
        prompt, _ = await made(running)
        await running.request("POST", CHAT, json={"prompt_id": prompt})
        assert running.exchanges[-1].annotations["prompts.version"] == "1.0"
