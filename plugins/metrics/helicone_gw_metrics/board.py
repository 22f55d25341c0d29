"""Board: where the workers of one gateway leave their snapshots, for whichever of them is asked for the sum.

A file per worker, replaced whole, so that a reader finds the old or the new one. A worker shows nothing that it has not
left here before: no sum is ever less than one that was shown earlier, whatever becomes of workers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from helicone_gw_metrics.snapshot import Snapshot, merged

try:
    import fcntl
except ImportError:  # Windows, where there is one worker
    fcntl = None  # type: ignore[assignment]

PAST = "past.json"
"""The sum of those that are gone, so that their files do not pile up."""

decode = msgspec.json.Decoder(Snapshot).decode
encode: Callable[[Snapshot], bytes] = msgspec.json.Encoder().encode


class Board:
    """The snapshots in ``directory``; ``name`` is that of this worker's. Its methods wait for the disk."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._name = f"{name}.json"

    def publish(self, data: bytes) -> None:
        """Leave this worker's snapshot, encoded. Raises `OSError`."""
        self._write(self._name, data)

    def others(self) -> list[Snapshot]:
        """The snapshots of all others, gone or not. Raises `OSError`; what cannot be read is left out."""
        with self._locked(exclusive=False):
            found = self._read()
        return list(_still_to_be_counted(found, without=self._name).values())

    def fold(self, latency: Sequence[float], first_token: Sequence[float]) -> None:
        """Put the snapshots of those that are gone into one sum, with these bounds of buckets. Raises `OSError`."""
        if fcntl is None:
            return
        with self._locked(exclusive=True):
            found = self._read()
            held = _still_to_be_counted(found, without=self._name)
            gone = {name: one for name, one in held.items() if name == PAST or one.final or not _alive(one.pid)}
            absorbed = gone.keys() - {PAST}
            # Whoever dies in the middle of this leaves files that the sum names: they are not counted twice.
            left = found.keys() - held.keys() - {self._name}
            if absorbed:
                past = merged((one.without_gauges() for one in gone.values()), latency, first_token)
                past.absorbed, past.final = sorted(absorbed | left), True
                self._write(PAST, encode(past))
            for name in absorbed | left:
                (self._directory / name).unlink(missing_ok=True)

    def _read(self) -> dict[str, Snapshot]:
        found = {}
        for path in sorted(self._directory.glob("*.json")):
            try:
                one = decode(path.read_bytes())
            except (FileNotFoundError, msgspec.DecodeError):
                continue
            found[path.name] = one if path.name == PAST or _alive(one.pid) else one.without_gauges()
        return found

    def _write(self, name: str, data: bytes) -> None:
        # The process id keeps two writers of the same sum apart.
        partial = self._directory / f"{name}.{os.getpid()}"
        partial.write_bytes(data)
        partial.replace(self._directory / name)

    @contextmanager
    def _locked(self, *, exclusive: bool) -> Iterator[None]:
        if fcntl is None:
            yield
            return
        with (self._directory / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            yield


def _still_to_be_counted(found: dict[str, Snapshot], *, without: str) -> dict[str, Snapshot]:
    """Those in ``found`` that are no part of the sum of the dead."""
    absorbed = set(found[PAST].absorbed) if PAST in found else set()
    return {name: one for name, one in found.items() if name != without and name not in absorbed}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
