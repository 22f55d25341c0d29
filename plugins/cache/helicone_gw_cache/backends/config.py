"""The ``backend:`` block: where entries are kept, and how much of them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, ByteSize, Field, model_validator

from helicone_gw import PluginConfig, PositiveSeconds, Size

MEMORY_BYTES = 256 << 20
DISK_BYTES = 4 << 30


def _backend_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in ("memory", "disk", "store"):
        raise ValueError("should be memory://, disk://path/to/cache.db or store:// (the gateway's store, on Redis)")
    if scheme == "disk" and (not rest or rest.endswith("/")):
        raise ValueError("names no file: disk://cache.db, or disk:///var/lib/helicone/cache.db")
    if scheme != "disk" and rest:
        raise ValueError(f"nothing follows {scheme}://; a Redis is named in the section store: of the gateway")
    return text


BackendUrl = Annotated[str, AfterValidator(_backend_url)]
"""``memory://``, ``disk://relative.db``, ``disk:///absolute.db`` or ``store://``."""


class BackendConfig(PluginConfig):
    """Where entries are kept, and how much of them."""

    url: BackendUrl = Field(
        default="memory://",
        description="memory:// (each worker's own, gone at a restart), disk://cache.db (a SQLite file of its own, "
        "relative to the working directory; shared by workers) or store:// (the gateway's store, when that is Redis).",
    )
    max_bytes: Size | None = Field(
        default=None,
        description="Most bytes of all entries; then the longest unused go. Default: 256MiB in memory, 4GiB on disk. "
        "Redis has its own bound (maxmemory).",
    )
    max_entry: Size = Field(default=ByteSize(4 << 20), description="Largest entry; a larger answer is not stored.")
    compress_above: Size = Field(
        default=ByteSize(8 << 10), description="Entries from this size on are kept compressed (zstd)."
    )
    sweep: PositiveSeconds = Field(
        default=60.0, description="Seconds between two sweeps of the disk for what has expired."
    )
    deadline: PositiveSeconds = Field(
        default=0.5,
        description="Seconds that a look on the disk may take; then it is a miss. Redis has store.deadline.",
    )

    @property
    def path(self) -> str | None:
        """The file of ``disk://``."""
        return self.url.removeprefix("disk://") if self.url.startswith("disk://") else None

    @property
    def room(self) -> int:
        """``max_bytes``, or what is usual in such a place."""
        if self.max_bytes is not None:
            return int(self.max_bytes)
        return MEMORY_BYTES if self.path is None else DISK_BYTES

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.url == "store://" and self.max_bytes is not None:
            raise ValueError("max_bytes is not for store://: Redis is bounded by its own maxmemory")
        if self.max_entry > self.room:
            raise ValueError("max_entry is larger than max_bytes: no such entry would ever be kept")
        return self
