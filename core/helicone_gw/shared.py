"""Shared: the directory that the worker processes of one gateway have in common while it runs.

What lies there is small, private to the user who runs the gateway, and gone with it. It outlives any single worker,
and any gateway that a reload replaces.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "HELICONE_GW_SHARED_DIRECTORY"
"""The environment variable in which worker processes find the directory's path."""


@contextmanager
def making_shared_directory() -> Iterator[Path]:
    """Make the directory and name it to this process and all that it starts, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="helicone-gw-", ignore_cleanup_errors=True) as path:
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = path
        try:
            yield Path(path)
        finally:
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before


def shared_directory() -> Path | None:
    """The directory; ``None`` where this process is no gateway's program (a test, a script that embeds it)."""
    path = os.environ.get(VARIABLE)
    return None if not path else Path(path)
