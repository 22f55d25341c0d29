"""Locking: whose a journal is. The operating system lets go of a lock when its process dies, however it dies."""

from __future__ import annotations

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"
"""The name of the file that is locked."""


def locked(path: Path, *, create: bool = False) -> int | None:
    """Lock the file ``path``: the descriptor that holds it, ``None`` when somebody else does. Raises `OSError`."""
    if fcntl is None:
        raise OSError("this system has no flock(2), which a journal needs")
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it before may have deleted it in the meantime.
        if os.fstat(file).st_nlink:
            return file
    except BlockingIOError:
        pass
    except BaseException:
        os.close(file)
        raise
    os.close(file)
    return None
