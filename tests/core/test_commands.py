"""The commands of the core: check, plugins, schema, demo."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from helicone_gw import Gateway, GatewayConfig
from helicone_gw.cli import program
from helicone_gw.commands.demo import EXAMPLES
from helicone_gw.commands.loading import build_gateway, load
from helicone_gw.commands.sharing import sharing
from helicone_gw.config import ServerConfig, StoreConfig, UpstreamConfig
from helicone_gw.database import Database
from helicone_gw.server import serve
from helicone_gw.sockets import listen, url_at, url_of
from tests.fixtures.redis_server import RedisServer


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HELICONE_GW_CONFIG", raising=False)
    monkeypatch.setenv("COLUMNS", "160")


def write(text: str) -> None:
    Path("gateway.yaml").write_text(text)


# check


def test_check_draws_the_onion(capsys: pytest.CaptureFixture[str]) -> None:
    write("{plugins: [logging, cost, {security: {name: door}}]}")
    assert program(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("gateway.yaml: good, 3 plugins")
    onion = lines[lines.index("  ┌ logging  (on failure: open)") :]
    assert onion[:4] == [
        "  ┌ logging  (on failure: open)",
        "  │ ┌ cost  (on failure: open)",
        "  │ │ ┌ door  (on failure: closed)",
        "  │ │ │ ● upstream",
    ]
    hooks = dict(line.split(maxsplit=1) for line in lines if line.startswith(("  on_", "  pre_")))
    assert hooks["pre_request"].split() == ["down", "door"]
    assert hooks["on_finish"].split() == ["up", "logging"]
    assert hooks["on_error"].split() == ["up", "-"]


def test_check_prints_what_plugins_have_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    write(
        "{plugins: [{ratelimit: {budgets: {team: {limit: 1, period: day, reserve: largest, largest_request: 0.1}}}}]}"
    )
    assert program(["check"]) == 0
    said = capsys.readouterr().out
    assert "What plugins say:" in said
    assert "  ratelimit: budget team: $1.00 a day (UTC), hard: at most $1.00 are spent" in said


def test_check_of_plugins_that_have_nothing_to_say_has_no_such_section(capsys: pytest.CaptureFixture[str]) -> None:
    write("{plugins: [logging]}")
    assert program(["check"]) == 0
    assert "What plugins say" not in capsys.readouterr().out


def test_check_warns_of_orders_that_are_not_safe(capsys: pytest.CaptureFixture[str]) -> None:
    write("{plugins: [security, logging]}")
    assert program(["check"]) == 1
    assert "'logging' should stand before (outside) 'security': refused callers would not be logged" in (
        capsys.readouterr().out
    )


def test_check_says_what_workers_share_and_what_they_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    write("{server: {workers: 3}, database: {url: 'postgresql://me:secret@host/db'}}")
    assert program(["check"]) == 1
    said = capsys.readouterr().out
    shared, own = said.partition("Shared by the 3 workers:")[2].split("Each worker's own:")
    own, warnings = own.split("Warnings:")
    assert [line.split()[0] for line in shared.splitlines() if line] == ["port", "database"]
    assert {"store", "health", "provider", "client"} <= {line.split()[0] for line in own.splitlines() if line}
    assert "each worker counts for itself" in warnings
    assert "secret" not in said


def test_check_of_one_worker_says_nothing_of_sharing(capsys: pytest.CaptureFixture[str]) -> None:
    write("{}")
    assert program(["check"]) == 0
    said = capsys.readouterr().out
    assert "Shared by" not in said
    assert "Each worker" not in said


@pytest.mark.parametrize(
    ("database", "store", "shared", "warned"),
    [
        ("sqlite:///helicone.db", "memory://", {"port", "database"}, ["store.url"]),
        ("sqlite://", "memory://", {"port"}, ["database.url", "store.url"]),
        ("postgresql://host/db", "memory://", {"port", "database"}, ["store.url"]),
        ("postgresql://host/db", "redis://host", {"port", "database", "store", "health"}, []),
    ],
)
def test_what_workers_share(database: str, store: str, shared: set[str], warned: list[str]) -> None:
    config = GatewayConfig(server=ServerConfig(workers=2), store=StoreConfig(url=store))
    parts = sharing(config, Database(database))
    assert {part.name for part in parts.shared} == shared
    assert {part.name for part in parts.own} & {"database", "store", "health"} == {
        name for name in ("database", "store", "health") if name not in shared
    }
    assert [warning.split(" and ")[1].split()[0] for warning in parts.warnings] == warned


def test_check_asks_a_redis_whether_it_answers(redis_server: RedisServer, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        f"{{server: {{workers: 2}}, database: {{url: 'postgresql://host/db'}}, store: {{url: '{redis_server.url}/1'}}}}"
    )
    assert program(["check"]) == 0
    said = capsys.readouterr().out
    assert "store                  Redis: counters, limits and small values" in said
    assert "store connections      up to 50" in said
    assert "Warnings" not in said


def test_a_redis_that_does_not_answer_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    write("store: {url: 'redis://me:SECRET@127.0.0.1:1'}")
    assert program(["check"]) == 1
    said = capsys.readouterr().out
    assert "good" in said
    assert "the shared store cannot be reached: no connection (ConnectionRefusedError)" in said
    assert "SECRET" not in said


def test_a_cluster_has_connections_to_each_node() -> None:
    config = GatewayConfig(server=ServerConfig(workers=2), store=StoreConfig(url="redis+cluster://a,b"))
    parts = sharing(config, Database("sqlite://"))
    assert ("store connections", "up to 50 to each node") in parts.own
    assert ("store", "Redis Cluster: counters, limits and small values") in parts.shared


def test_bounds_of_connections_hold_for_each_worker() -> None:
    upstream = UpstreamConfig(max_connections=3000, max_connections_per_host=40, max_idle_connections=7)
    parts = sharing(GatewayConfig(upstream=upstream), Database("sqlite://"))
    assert ("provider connections", "up to 3,000, 40 to one host; 7 of them idle") in parts.own


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{providers: {bedrock: {region: 'Not A Region'}}}", "providers.bedrock.region"),
        ("{server: {allowed_targets: ['0x7f.1']}}", "server.allowed_targets"),
        ("{plugins: [nonesuch]}", "pip install helicone-gw-nonesuch"),
        ("{plugins: [{logging: {bodies: some}}]}", "bodies"),
    ],
)
def test_check_finds_whatever_would_keep_the_gateway_from_starting(
    config: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config)
    assert program(["check"]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "good" not in captured.out


# plugins


def test_plugins_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    write("{plugins: [logging, {logging: {name: second}}]}")
    assert program(["plugins", "--json"]) == 0
    rows = {row["plugin"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == sorted(rows)
    assert rows["logging"]["active"] == ["logging", "second"]
    assert rows["logging"]["distribution"] == "helicone-gw-logging"
    assert rows["logging"]["version"]
    assert "on_finish" in rows["logging"]["hooks"]
    assert (rows["cost"]["active"], rows["cost"]["hooks"]) == ([], []), "installed is not active"


def test_plugins_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    write("{plugins: [logging]}")
    assert program(["plugins"]) == 0
    text = capsys.readouterr().out
    assert "on_finish" in text
    assert "(not imported)" in text


# schema


def test_the_schema_accepts_a_configuration_and_refuses_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert program(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"server": {"port": 1}, "plugins": ["logging", {"cost": {}}]})
    assert not validator.is_valid({"server": {"prot": 1}})
    assert not validator.is_valid({"plugins": [{"logging": {"bodies": "some"}}]})


# demo


@asynccontextmanager
async def running(config: str) -> AsyncIterator[str]:
    write(config)
    listener = listen(load(Path("gateway.yaml")).config)
    stop, started = asyncio.Event(), asyncio.Event()

    def build() -> Gateway:
        return build_gateway(load(Path("gateway.yaml")).config)

    serving = asyncio.ensure_future(serve(build, listener, stop, lambda gateway, url: started.set()))
    url = url_of(listener)
    await asyncio.wait({serving, asyncio.ensure_future(started.wait())}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield url
    finally:
        stop.set()
        await serving
        listener.close()


OPEN = '{server: {port: 0}, database: {url: "sqlite://"}, providers: {demo: {}}, plugins: [cost]}'
KEYED = (
    '{server: {port: 0}, database: {url: "sqlite://"}, providers: {demo: {}}, '
    "plugins: [{security: {keys: {one: {key: hk-of-the-demo-test}}}}]}"
)


async def demo(*arguments: str) -> int:
    return await asyncio.to_thread(program, ["demo", *arguments])


async def test_demo_shows_what_the_gateway_says(capsys: pytest.CaptureFixture[str]) -> None:
    async with running(OPEN) as url:
        assert await demo("--url", url + "/") == 0
    lines = capsys.readouterr().out.splitlines()
    for example in EXAMPLES:
        (line,) = [line for line in lines if line.strip().startswith(example.title + " ")]
        assert " 200 " in line
        assert "demo" in line


async def test_demo_against_a_gateway_that_asks_for_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    async with running(KEYED) as url:
        assert await demo("--url", url) == 1
        assert re.search(r"\b401\b", capsys.readouterr().out)
        assert await demo("--url", url, "--key", "hk-of-the-demo-test") == 0
        assert not re.search(r"\b401\b", capsys.readouterr().out)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://[::1", "nonsense", "ftp://127.0.0.1"])
def test_demo_without_a_gateway(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    write("{providers: {demo: {}}}")
    assert program(["demo", "--url", url]) == 1
    captured = capsys.readouterr()
    assert "No gateway answers at" in captured.err
    assert "Traceback" not in captured.err


def test_demo_where_the_configuration_has_no_demo_provider(capsys: pytest.CaptureFixture[str]) -> None:
    write("{server: {port: 9}}")
    assert program(["demo"]) == 1
    assert "add `demo: {}` under providers" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["::1", "[::1]", "::", "0.0.0.0", "127.0.0.1", "localhost"])
def test_demo_goes_where_the_configuration_listens(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"server": {"host": host, "port": 9, "open": True}, "providers": {"demo": {}}}
    write(json.dumps(config))
    assert GatewayConfig.model_validate({"server": config["server"]}).server.host
    assert program(["demo"]) == 1
    assert f"No gateway answers at {url_at(host, 9)} (ConnectError)" in capsys.readouterr().err
