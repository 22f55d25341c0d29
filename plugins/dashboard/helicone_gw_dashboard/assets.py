"""Assets: scripts and styles at addresses that change with their content, so that browsers may keep them for ever."""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markupsafe import Markup

STATIC = Path(__file__).parent / "static"

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served; everything else that lies there (licences) is not."""

STYLES = "dashboard.css"
TOGETHER = {
    STYLES: ("app.css", "lists.css", "forms.css", "plugins.css", "vendor/uPlot.min.css"),
    "dashboard.js": ("vendor/htmx.min.js", "app.js"),
}
"""Files that are served as one, since every page needs them: each request takes something of the first paint."""


@dataclass(frozen=True)
class Asset:
    """One file: ``tag`` is the beginning of its SHA-256."""

    name: str
    content: bytes
    tag: str
    content_type: str

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the content in base64, by which a page may say that it has this and nothing else."""
        return base64.b64encode(hashlib.sha256(self.content).digest()).decode()

    @cached_property
    def markup(self) -> Markup:
        """The content as a part of a page, as it is."""
        return Markup(self.content.decode())  # noqa: S704 - a file of this distribution

    @cached_property
    def zipped(self) -> bytes:
        """The content as gzip (RFC 1952)."""
        return gzip.compress(self.content, 9, mtime=0)


class Assets:
    """The files of ``folder``, each read when it is first asked for."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix in TYPES}
        self._read: dict[str, Asset] = {}
        self._folder = folder

    @property
    def names(self) -> list[str]:
        """What pages may load."""
        return [*self._paths, *TOGETHER]

    def __getitem__(self, name: str) -> Asset:
        """The asset ``name``. Raises `KeyError`: there is none."""
        found = self._read.get(name)
        if found is None:
            paths = [self._folder / each for each in TOGETHER[name]] if name in TOGETHER else [self._paths[name]]
            content = b"\n".join(path.read_bytes() for path in paths)
            tag = hashlib.sha256(content).hexdigest()[:12]
            found = self._read[name] = Asset(name, content, tag, TYPES[paths[0].suffix])
        return found

    def get(self, name: str, tag: str) -> Asset | None:
        """The asset of that name and content."""
        if name not in self._paths and name not in TOGETHER:
            return None
        found = self[name]
        return found if found.tag == tag else None
