"""Objects: bodies in an object storage are found as those in the database are, and none is lost when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from sqlalchemy import func, select

from helicone_gw.database import Database
from helicone_gw.errors import ConfigError
from helicone_gw.exchange import Exchange
from helicone_gw.testing import VirtualClock
from helicone_gw_logging import get_request
from helicone_gw_logging.config import BodyStorage, LoggingConfig, Retention
from helicone_gw_logging.objects import Objects, Place, StorageFailed
from helicone_gw_logging.record import record
from helicone_gw_logging.retention import prune
from helicone_gw_logging.tables import BODY
from helicone_gw_logging.writer import Writer

Build = Callable[..., Exchange]

ASKED, ANSWERED = b'{"model":"gpt-4o-mini","messages":[]}', b'{"choices":[{"text":"hello"}]}'


class Bucket:
    """A server on a socket that speaks as much of S3 as is needed to put an object and to get a part of one."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.status = 200
        self.silent = False
        self.seen: list[str] = []
        self.clients: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients.append(writer)
        while line := await reader.readline():
            if self.silent:
                continue
            method, path, _ = line.decode().split()
            fields: dict[str, str] = {}
            while (field := await reader.readline()).strip():
                name, _, value = field.decode().partition(":")
                fields[name.lower()] = value.strip()
            body = await reader.readexactly(int(fields.get("content-length", "0")))
            self.seen.append(f"{method} {fields.get('authorization', '')}")
            status, more, answer = self.answer(method, unquote(path), fields, body)
            head = f"HTTP/1.1 {status} Status\r\ncontent-length: {len(answer)}\r\n{more}\r\n"
            writer.write(head.encode() + answer)
            await writer.drain()

    def answer(self, method: str, path: str, fields: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        if self.status != 200:
            return self.status, "", b""
        if method == "PUT":
            self.objects[path] = body
            return 200, 'etag: "1"\r\n', b""
        whole = self.objects[path]
        first, last = map(int, fields["range"].removeprefix("bytes=").split("-"))
        some = whole[first : last + 1]
        shown = f"content-range: bytes {first}-{last}/{len(whole)}\r\n"
        return 206, f'etag: "1"\r\nlast-modified: Thu, 26 Nov 2026 00:00:00 GMT\r\n{shown}', some


@pytest.fixture
async def bucket() -> AsyncIterator[tuple[Bucket, str]]:
    served = Bucket()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    yield served, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for client in served.clients:  # which the storage's library would keep
        client.close()
        await client.wait_closed()


def s3(address: str, **more: Any) -> BodyStorage:
    options = {
        "aws_access_key_id": "AKIDOFTHETEST",
        "aws_secret_access_key": "secret-of-the-test",
        "aws_region": "eu-central-1",
        "aws_endpoint": address,
    }
    return BodyStorage.model_validate(
        {"url": "s3://bodies/gateway", "options": options, "allow_http": True, "timeout": 5, **more}
    )


def directory(path: Path, **more: Any) -> BodyStorage:
    return BodyStorage.model_validate({"url": path.as_uri(), **more})


async def written(database: Database, log: Any, objects: Objects, *exchanges: Exchange) -> Writer:
    writer = Writer(database, LoggingConfig(), log, objects=objects)
    writer.start()
    for exchange in exchanges:
        writer.put(record(exchange))
    await writer.close()
    return writer


def asked(exchange: Build, at: float = 1_800_000_000.0) -> Exchange:
    return exchange(received_at=at, body=ASKED, answer=ANSWERED)


async def in_the_database(database: Database) -> int:
    there = select(func.count()).select_from(BODY).where(BODY.c.request.is_not(None))
    async with database.connect() as connection:
        return await connection.scalar(there) or 0


async def test_bodies_go_to_a_storage_on_a_socket_and_come_back(
    database: Database, log: Any, exchange: Build, bucket: tuple[Bucket, str]
) -> None:
    served, address = bucket
    objects = Objects(s3(address), VirtualClock().monotonic, log)
    some = [asked(exchange) for _ in range(3)]
    await written(database, log, objects, *some)
    [(path, data)] = served.objects.items()
    assert path.startswith("/bodies/gateway/2027/01/15/08/"), "one object for all of an hour's rows"
    assert objects.counters.objects_written == 1
    assert objects.counters.bytes_written == len(data)
    assert await in_the_database(database) == 0
    for one in some:
        found = await get_request(database, one.id, objects=objects)
        assert found is not None
        assert found.request_body is not None
        assert found.response_body is not None
        assert (found.request_body.data, found.response_body.data) == (ASKED, ANSWERED)
    assert all("AWS4-HMAC-SHA256 Credential=AKIDOFTHETEST" in seen for seen in served.seen)


async def test_every_hour_has_an_object_of_its_own(
    database: Database, log: Any, exchange: Build, tmp_path: Path
) -> None:
    objects = Objects(directory(tmp_path / "bodies"), VirtualClock().monotonic, log)
    await written(database, log, objects, asked(exchange), asked(exchange, 1_800_000_000.0 - 7200))
    assert objects.counters.objects_written == 2
    assert sorted(path.parent.name for path in (tmp_path / "bodies").rglob("*.zst")) == ["06", "08"]


async def test_what_the_storage_does_not_take_stays_and_the_storage_is_left_alone_for_a_while(
    database: Database, log: Any, exchange: Build, bucket: tuple[Bucket, str]
) -> None:
    served, address = bucket
    clock = VirtualClock()
    objects = Objects(s3(address, retry_after=30), clock.monotonic, log)
    served.status = 403
    first, second, third = (asked(exchange) for _ in range(3))
    await written(database, log, objects, first)
    served.status = 200
    await written(database, log, objects, second)
    assert (objects.counters.failures, objects.counters.rows_kept) == (1, 2)
    assert served.objects == {}
    assert await in_the_database(database) == 2
    clock.advance(30)
    await written(database, log, objects, third)
    assert len(served.objects) == 1
    for one in (first, second, third):
        found = await get_request(database, one.id, objects=objects)
        assert found is not None
        assert found.response_body is not None
        assert found.response_body.data == ANSWERED


async def test_a_storage_that_says_nothing_holds_nobody_up_for_ever(
    database: Database, log: Any, exchange: Build, bucket: tuple[Bucket, str]
) -> None:
    served, address = bucket
    served.silent = True
    objects = Objects(s3(address, timeout=0.2), VirtualClock().monotonic, log)
    await written(database, log, objects, asked(exchange))
    assert await in_the_database(database) == 1
    assert objects.counters.failures == 1


async def test_what_is_gone_is_said_without_an_address(
    database: Database, log: Any, exchange: Build, tmp_path: Path
) -> None:
    objects = Objects(directory(tmp_path / "bodies"), VirtualClock().monotonic, log)
    one = asked(exchange)
    await written(database, log, objects, one)
    for path in (tmp_path / "bodies").rglob("*.zst"):
        path.unlink()
    with pytest.raises(StorageFailed) as gone:
        await get_request(database, one.id, objects=objects)
    assert str(tmp_path) not in str(gone.value)
    with pytest.raises(StorageFailed, match="names none"):
        await get_request(database, one.id)


async def test_what_is_too_old_goes_with_its_rows(
    database: Database, log: Any, exchange: Build, tmp_path: Path
) -> None:
    objects = Objects(directory(tmp_path / "bodies"), VirtualClock().monotonic, log)
    now, day = 1_800_000_000.0, 86_400
    times = (now, now - 29 * day, now - 31 * day, now - 31 * day - 7200, now - 400 * day)
    await written(database, log, objects, *(asked(exchange, at) for at in times))
    retention = Retention(bodies=30)
    foreseen = {step.kind: step.of async for step in prune(database, retention, now, dry_run=True, objects=objects)}
    assert foreseen == {"bodies": 3, "objects": 3}
    assert len([*(tmp_path / "bodies").rglob("*.zst")]) == 5
    done = {step.kind: step.rows async for step in prune(database, retention, now, objects=objects)}
    assert done == {"bodies": 3, "objects": 3}
    assert len([*(tmp_path / "bodies").rglob("*.zst")]) == 2
    assert objects.counters.objects_deleted == 3


@pytest.mark.parametrize("written", ["", "path", "path:1:2", "path:1:2:x", "a:b:c:d:e"])
async def test_a_place_that_is_none(written: str, tmp_path: Path, log: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        Place.of(written)
    with pytest.raises(StorageFailed, match="no place"):
        await Objects(directory(tmp_path), VirtualClock().monotonic, log).frames(written)


def test_a_place_is_written_and_read() -> None:
    place = Place("2026/11/26/19/x.zst", 5, 10, 0)
    assert Place.of(str(place)) == place


def test_an_address_of_no_storage_is_refused_without_being_told(log: Any) -> None:
    config = BodyStorage.model_validate({"url": "ftp://user:password@host/bodies"})
    with pytest.raises(ConfigError) as refused:
        Objects(config, VirtualClock().monotonic, log)
    assert "password" not in str(refused.value)
    assert "body_storage" in str(refused.value)
