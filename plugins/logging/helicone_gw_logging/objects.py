"""Objects: bodies in object storage (S3, Google Cloud Storage, Azure, a directory) in place of the database.

The bodies of one transaction become one object for each hour, zstd frames one behind the other; a row says where its
two are (`Place`). The object is there before the row is. While the storage does not take any, bodies stay in the
database, where they are found just as well.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from helicone_gw import ConfigError, new_id
from helicone_gw_logging.measures import HOUR_MS
from helicone_gw_logging.tables import BODY

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from sqlalchemy import RowMapping

    from helicone_gw_logging.config import BodyStorage, LoggingConfig
    from helicone_gw_logging.insert import Rows

_COLUMNS: Final = [column.name for column in BODY.columns if column.name != "seq"]
_REQUEST, _RESPONSE, _OBJECT = (_COLUMNS.index(name) for name in ("request", "response", "object"))
_HOUR: Final = "%Y/%m/%d/%H"
_PARTS: Final = 4
"""Parts of an hour's path: year, month, day and hour."""


class Place(Struct, frozen=True):
    """Where the frames of a row are: ``request`` and ``response`` bytes from ``start`` on; 0 bytes: there is none."""

    path: str
    start: int
    request: int
    response: int

    def __str__(self) -> str:
        return f"{self.path}:{self.start}:{self.request}:{self.response}"

    @classmethod
    def of(cls, written: str) -> Place:
        """The place that a row names. Raises `ValueError` for anything else."""
        path, *numbers = written.split(":")
        start, request, response = map(int, numbers)
        return cls(path, start, request, response)


class StorageFailed(Exception):
    """The object storage did not give what is said to be there; the message names no address and no credential."""


@dataclass(slots=True)
class StorageCounters:
    """``objects_written`` and ``bytes_written``: what went out; ``objects_deleted``: what was too old.

    ``rows_kept``: rows whose bodies stayed in the database, because the storage failed or was given time to recover;
    ``failures``: calls that did.
    """

    objects_written: int = 0
    bytes_written: int = 0
    objects_deleted: int = 0
    rows_kept: int = 0
    failures: int = 0


class Objects:
    """An object storage for bodies, as ``config`` names it; ``monotonic`` is a clock in seconds.

    Raises `ConfigError` when the extra ``object-storage`` is not installed or the URL leads to no storage.
    """

    def __init__(self, config: BodyStorage, monotonic: Callable[[], float], log: Any) -> None:
        self.counters = StorageCounters()
        self._config = config
        self._monotonic = monotonic
        self._log = log
        self._store = _open(config)
        self._rests_until = 0.0

    async def put(self, batch: Sequence[Rows]) -> None:
        """Move the bodies of ``batch`` out of its rows. What cannot be moved stays; nothing is raised for that."""
        hours: dict[int, list[Rows]] = {}
        for rows in batch:
            if rows.body is not None and (rows.body[_REQUEST] or rows.body[_RESPONSE]):
                hours.setdefault(rows.received_at // HOUR_MS, []).append(rows)
        for hour, some in hours.items():
            if self._monotonic() < self._rests_until:
                self.counters.rows_kept += len(some)
                continue
            path = f"{datetime.fromtimestamp(hour * 3600, UTC).strftime(_HOUR)}/{new_id()}.zst"
            places, data = _together(path, some)
            try:
                await self._call(self._store.put, path, data)
            except StorageFailed as problem:
                self.counters.rows_kept += len(some)
                self._rests_until = self._monotonic() + self._config.retry_after
                self._log.error("bodies stay in the database: the object storage failed", problem=str(problem))
                continue
            self.counters.objects_written += 1
            self.counters.bytes_written += len(data)
            for rows, place in zip(some, places, strict=True):
                rows.body = _moved(rows, place)

    async def frames(self, written: str) -> tuple[bytes | None, bytes | None]:
        """The request's and the response's frame at the place that a row names. Raises `StorageFailed`."""
        try:
            place = Place.of(written)
        except ValueError:
            raise StorageFailed("the row names no place in an object storage") from None
        length = place.request + place.response
        data = bytes(await self._call(self._store.get_range, place.path, start=place.start, length=length))
        if len(data) != length:
            raise StorageFailed("the object is shorter than the row says")
        return data[: place.request] or None, data[place.request :] or None

    async def delete(self, before: int, *, dry_run: bool = False) -> int:
        """Delete the objects of whole hours before ``before`` (epoch milliseconds); returns how many there were."""
        limit = datetime.fromtimestamp(before / 1000, UTC).strftime(_HOUR)
        found = 0
        async for paths in self._older(None, limit):
            found += len(paths)
            if not dry_run and paths:
                await self._call(self._store.delete, paths)
                self.counters.objects_deleted += len(paths)
        return found

    async def _older(self, prefix: str | None, limit: str) -> AsyncIterator[list[str]]:
        listed = await self._call(self._store.list_with_delimiter, prefix)
        for below in listed["common_prefixes"]:
            depth = below.count("/") + 1
            if depth < _PARTS and below <= limit[: len(below)]:
                async for paths in self._older(below, limit):
                    yield paths
            elif depth == _PARTS and below < limit:
                objects = (await self._call(self._store.list_with_delimiter, below))["objects"]
                yield [each["path"] for each in objects]

    async def _call(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        # In a thread and not by its own tasks: their runtime may touch the interpreter while that ends, and aborts it.
        try:
            async with asyncio.timeout(self._config.timeout):
                return await asyncio.to_thread(method, *arguments, **named)
        except TimeoutError:
            self.counters.failures += 1
            raise StorageFailed(f"no answer within {self._config.timeout:g} s") from None
        except Exception as problem:
            # Its message holds addresses, and may hold what stands in them.
            self.counters.failures += 1
            raise StorageFailed(type(problem).__name__) from None


def opened(config: LoggingConfig) -> Objects | None:
    """The object storage for a command, where one is configured. Raises `ConfigError`."""
    import structlog

    return None if config.body_storage is None else Objects(config.body_storage, time.monotonic, structlog.get_logger())


async def frames_of(row: RowMapping, objects: Objects | None) -> tuple[bytes | None, bytes | None]:
    """The two frames of a row of bodies, wherever they are. Raises `StorageFailed`."""
    if row["object"] is None:
        return row["request"], row["response"]
    if objects is None:
        raise StorageFailed("bodies of this request are in an object storage, and the configuration names none")
    return await objects.frames(row["object"])


def _open(config: BodyStorage) -> ObjectStore:
    try:
        from obstore import store
    except ImportError:
        raise ConfigError(
            ["logging.body_storage needs the package 'obstore': pip install 'helicone-gw[object-storage]'"]
        ) from None
    url = config.url.get_secret_value()
    options: Any = {name: value.get_secret_value() for name, value in config.options.items()}
    limits: Any = {"timeout": f"{round(config.timeout * 1000)}ms", "allow_http": config.allow_http}
    try:
        if url.startswith("file:"):
            return store.from_url(url, mkdir=True)
        return store.from_url(
            url,
            config=options,
            client_options=limits,
            retry_config={"max_retries": 0},
        )
    except Exception as problem:  # whose message may hold what stands in the URL and the options
        raise ConfigError(
            [f"logging.body_storage: its `url` and `options` lead to no storage ({type(problem).__name__})"]
        ) from None


def _together(path: str, some: Sequence[Rows]) -> tuple[list[Place], bytes]:
    places, frames, at = list[Place](), list[bytes](), 0
    for rows in some:
        assert rows.body is not None
        request, response = rows.body[_REQUEST] or b"", rows.body[_RESPONSE] or b""
        places.append(Place(path, at, len(request), len(response)))
        frames += (request, response)
        at += len(request) + len(response)
    return places, b"".join(frames)


def _moved(rows: Rows, place: Place) -> tuple[Any, ...]:
    assert rows.body is not None
    body = list(rows.body)
    body[_REQUEST] = body[_RESPONSE] = None
    body[_OBJECT] = str(place)
    return tuple(body)
