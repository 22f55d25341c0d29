"""``helicone-gw cache``: on a real file, and of a gateway that runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

from helicone_gw import GatewayConfig
from helicone_gw.clock import SystemClock
from helicone_gw_cache.backends import BackendConfig
from helicone_gw_cache.config import CacheConfig
from helicone_gw_cache.describing import moment, parse_age
from helicone_gw_cache.entry import Entry
from helicone_gw_cache.plugin import CachePlugin
from tests.plugins.cache.making import an_entry
from tests.plugins.cache.places import disk
from tests.program import EXECUTABLE, free_port, gateway

Run = Callable[..., Result]


def runner(backend: BackendConfig, config: Any = None) -> Run:
    """Runs ``helicone-gw cache`` with these arguments."""
    cli = typer.Typer()
    CachePlugin(CacheConfig(backend=backend), "cache").register_commands(cli)

    @cli.callback()
    def root(context: typer.Context) -> None:
        context.obj = SimpleNamespace(config=config or GatewayConfig())

    return lambda *arguments: CliRunner().invoke(cli, ["cache", *arguments])


def some() -> list[Entry]:
    now = time.time()
    kept: dict[str, Any] = {"expires_at": now + 600, "stale_until": now + 900}
    return [
        an_entry("a", stored_at=now - 7200, **kept),
        an_entry("b", owner="bob", model="o3", stored_at=now - 5, **kept),
        an_entry(
            "c", owner="bob", organization="other", provider="anthropic", stored_at=now, frames=(b"\xff\0",), **kept
        ),
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
def run(path: Path) -> Run:
    """The commands, on a file with entries."""

    async def fill() -> None:
        backend = disk(path, SystemClock())
        await backend.start()
        for entry in some():
            assert await backend.put(entry)
        await backend.close()

    asyncio.run(fill())
    return runner(BackendConfig(url=f"disk://{path}"))


def test_stats_of_a_file(run: Run) -> None:
    result = run("stats")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("3 entries on disk, ")
    assert "gpt-4o-mini" in result.output
    assert "anthropic" in result.output
    stats = json.loads(run("stats", "--json").output)
    assert (stats["backend"], stats["entries"]) == ("disk", 3)
    assert {(group["provider"], group["model"]) for group in stats["models"]} == {
        ("openai", "gpt-4o-mini"),
        ("openai", "o3"),
        ("anthropic", "gpt-4o-mini"),
    }


@pytest.mark.parametrize(
    ("options", "entries"),
    [
        (["--owner", "bob"], 2),
        (["--owner", "bob", "--organization", "default"], 1),
        (["--provider", "openai"], 2),
        (["--model", "o3"], 1),
        (["--older-than", "1h"], 1),
        (["--older-than", "3h"], 0),
    ],
)
def test_options_narrow_what_is_counted_and_cleared(run: Run, options: list[str], entries: int) -> None:
    assert json.loads(run("stats", "--json", *options).output)["entries"] == entries
    assert json.loads(run("clear", "--json", *options).output) == {"cleared": entries}
    assert json.loads(run("stats", "--json").output)["entries"] == 3 - entries


def test_clear_wants_to_be_told_what(run: Run) -> None:
    for wrong in (["clear"], ["clear", "--all", "--model", "o3"], ["clear", "--older-than", "soon"]):
        assert run(*wrong).exit_code != 0
    assert json.loads(run("stats", "--json").output)["entries"] == 3
    assert run("clear", "--model", "o3").output == "1 entry cleared.\n"
    assert run("clear", "--all").output == "2 entries cleared.\n"


def test_get_shows_an_entry_with_its_answer(run: Run) -> None:
    result = run("get", "a")
    assert result.exit_code == 0, result.output
    for said in ("gpt-4o-mini", "812", "alice", '"answer": "Hello!"', "input_tokens 9"):
        assert said in result.output
    shown = json.loads(run("get", "a", "--json").output)
    assert (shown["owner"], shown["body"], shown["fresh"]) == ("alice", '{"answer": "Hello!"}', True)
    assert "not text" in run("get", "c").output
    assert json.loads(run("get", "c", "--json").output)["body_base64"] == "/wA="


def test_get_of_nothing_fails(run: Run) -> None:
    result = run("get", "missing")
    assert (result.exit_code, result.output) == (1, "There is no such entry.\n")


def test_what_a_provider_sent_does_not_steer_the_terminal(path: Path, run: Run) -> None:
    async def put() -> None:
        backend = disk(path, SystemClock())
        await backend.start()
        await backend.put(an_entry("evil", frames=(b"\x1b[2Jgone",), model="\x1b]0;title\x07", stale_until=1e11))
        await backend.close()

    asyncio.run(put())
    assert "\x1b" not in run("get", "evil").output
    assert "\x1b" not in run("stats").output


def test_a_file_that_is_not_there_is_not_made(path: Path) -> None:
    run = runner(BackendConfig(url=f"disk://{path}"))
    for arguments, status in ((["stats"], 0), (["clear", "--all"], 0), (["get", "a"], 1)):
        result = run(*arguments)
        assert result.exit_code == status
        assert f"Nothing has been cached in {path} yet." in result.output
    assert json.loads(run("stats", "--json").stdout)["entries"] == 0
    assert not path.exists()


def test_a_file_that_cannot_be_used_is_told(path: Path) -> None:
    path.mkdir()
    result = runner(BackendConfig(url=f"disk://{path}"))("stats")
    assert result.exit_code == 1
    assert "The cache cannot be reached" in result.output


def test_a_store_in_memory_has_nothing_to_look_at() -> None:
    result = runner(BackendConfig(url="store://"))("stats")
    assert result.exit_code == 1
    assert "needs a Redis" in result.output


@pytest.mark.parametrize(("url", "store", "warned"), [("store://", "memory:", True), ("memory://", "memory:", False)])
def test_check_warns_of_it(url: str, store: str, warned: bool) -> None:
    plugin = CachePlugin(CacheConfig(backend=BackendConfig(url=url)), "cache")
    config: Any = SimpleNamespace(store=SimpleNamespace(url=f"{store}//"))
    assert any("needs a Redis" in warning for warning in plugin.warnings(config)) is warned


class Answering(BaseHTTPRequestHandler):
    """A gateway, as far as the commands see one."""

    answers: dict[str, tuple[int, Any]]
    asked: list[tuple[str, str, str | None]]

    def answer(self) -> None:
        self.asked.append((self.command, self.path, self.headers["authorization"]))
        status, body = self.answers.get(self.path.partition("?")[0], (404, {"data": None, "error": "no"}))
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_DELETE = answer

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def running() -> Iterator[tuple[str, type[Answering]]]:
    class Handler(Answering):
        answers: dict[str, tuple[int, Any]] = {}  # noqa: RUF012
        asked: list[tuple[str, str, str | None]] = []  # noqa: RUF012

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", Handler
        server.shutdown()
        thread.join()


KEY = "sk-of-alice-0123456789"
IN_MEMORY = BackendConfig()


def test_memory_is_the_running_gateways_and_shows_what_belongs_to_the_key(tmp_path: Path) -> None:
    security = {"keys": {"alice": {"key": KEY, "owner": "alice"}, "bob": {"key": "sk-of-bob-0123456789"}}}
    config = {
        "database": {"url": "sqlite://"},
        "providers": {"demo": {}},
        "plugins": [{"security": security}, {"cache": {"enabled": True}}],
    }
    with gateway(config, tmp_path) as url:
        body = {"model": "demo", "messages": [{"role": "user", "content": "Hello!"}]}
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False) as client:
            replies = [client.post("/v1/chat/completions", json={**body, "seed": n}) for n in (1, 1, 2)]
        assert [reply.status_code for reply in replies] == [200, 200, 200], replies[0].text
        run = runner(IN_MEMORY)
        with_key = ["--url", f"{url}/", "--key", KEY]

        result = run("stats", *with_key)
        assert result.output.startswith("2 entries in memory, ")
        assert "1 hits and 2 misses" in result.output
        assert json.loads(run("stats", "--json", *with_key).output)["saved"]["hits"] == 1
        assert json.loads(run("stats", "--json", "--url", url, "--key", "sk-of-bob-0123456789").output)["entries"] == 0

        # Where the configuration says memory, it also says where the gateway is.
        command = [EXECUTABLE, "--config", tmp_path / "gateway.yaml", "cache", "stats", "--json"]
        asked = subprocess.run(command, capture_output=True, check=True, env={"HELICONE_API_KEY": KEY})
        stats = json.loads(asked.stdout)
        assert (stats["backend"], stats["entries"]) == ("memory", 2)

        assert run("clear", "--model", "none", *with_key).output == "0 entries cleared.\n"
        assert run("clear", "--all", *with_key).output == "2 entries cleared.\n"
        assert run("get", "missing", *with_key).output == "There is no such entry.\n"
        refused = run("stats", "--url", url, "--key", "sk-wrong-0123456789")
        assert refused.exit_code == 1
        assert "answered 401" in refused.output
        assert "sk-wrong" not in refused.output
        owner = run("stats", "--owner", "alice", *with_key)
        assert (owner.exit_code, "--owner" in owner.output) == (1, True)


def test_workers_share_a_file_that_the_commands_look_into_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    backend = BackendConfig(url=f"disk://{path}")
    config = {
        "server": {"workers": 2},
        "database": {"url": f"sqlite:///{tmp_path}/gateway.db"},
        "providers": {"demo": {}},
        "plugins": [{"cache": {"enabled": True, "backend": {"url": backend.url}}}],
    }
    body = {"model": "demo", "messages": [{"role": "user", "content": "Hello!"}]}
    with gateway(config, tmp_path) as url:

        def ask() -> str | None:
            # A connection of its own each time: the system gives it to either worker.
            reply = httpx.post(f"{url}/v1/chat/completions", json=body, trust_env=False)
            assert reply.status_code == 200, reply.text
            return reply.headers.get("helicone-cache")

        ask()
        run = runner(backend)
        while json.loads(run("stats", "--json").output)["entries"] == 0:
            time.sleep(0.02)
        assert [ask() for _ in range(12)] == ["HIT"] * 12
        assert run("clear", "--all").output == "1 entry cleared.\n"
        assert ask() != "HIT"


def test_the_filters_and_the_key_travel(running: tuple[str, type[Answering]]) -> None:
    url, server = running
    server.answers = {"/v1/cache": (200, {"data": {"cleared": 3}, "error": None})}
    result = runner(IN_MEMORY)("clear", "--model", "a&b=c", "--older-than", "2h", "--url", url, "--key", "secret")
    assert result.output == "3 entries cleared.\n"
    assert server.asked == [("DELETE", "/v1/cache?model=a%26b%3Dc&older_than=2h", "Bearer secret")]


def test_a_key_with_a_slash_stays_one_segment(running: tuple[str, type[Answering]]) -> None:
    url, server = running
    assert runner(IN_MEMORY)("get", "a/../b", "--url", url).exit_code == 1
    assert server.asked == [("GET", "/v1/cache/entries/a%2F..%2Fb", None)]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (503, {"data": None, "error": "The cache cannot be reached."}, "answered 503: The cache cannot be reached."),
        (403, {"error": {"message": "not for you"}}, "answered 403: not for you"),
        (200, b"<html>hello</html>", "no answer of a gateway's cache"),
        (200, ["hello"], "no answer of a gateway's cache"),
        (500, b"", "no answer of a gateway's cache"),
    ],
)
def test_answers_that_are_none_are_told(
    running: tuple[str, type[Answering]], status: int, body: Any, said: str
) -> None:
    url, server = running
    server.answers = {"/v1/cache/stats": (status, body)}
    result = runner(IN_MEMORY)("stats", "--url", url)
    assert (result.exit_code, said in result.output) == (1, True), result.output


@pytest.mark.parametrize("url", ["http://user:secret@127.0.0.1:{port}", "nonsense", "http://[", "http://a b"])
def test_a_gateway_that_is_not_there_is_told_without_secrets(url: str) -> None:
    result = runner(IN_MEMORY)("stats", "--url", url.format(port=free_port()), "--key", "key-secret")
    assert result.exit_code == 1
    assert "is it running?" in result.output
    assert "secret" not in result.output


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("12h", 43_200), ("7d", 604_800), (" 2w ", 1_209_600)]
)
def test_ages(text: str, seconds: int) -> None:
    assert parse_age(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "1.5h", "1h30m", "soon", "\u0663h", "9" * 10])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(ValueError, match="an age such as"):
        parse_age(text)


def test_moments() -> None:
    assert moment(0) == "1970-01-01T00:00:00Z"
    assert [moment(odd) for odd in (None, 1e20, float("nan"), float("inf"))] == [None] * 4
