"""Which configuration file to read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from helicone_gw.errors import ConfigError

VARIABLE = "HELICONE_GW_CONFIG"
PACKAGED = Path(__file__).with_name("gateway.yaml")
"""The annotated default that is shipped inside the package."""


def find_config(explicit: str | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """The configuration file: the first of ``explicit``, ``$HELICONE_GW_CONFIG``, ``./gateway.yaml``,
    ``./config/gateway.yaml`` and the packaged default.

    Raises `ConfigError` when one that was named (the first two) is not a file; relative names start at ``cwd``.
    """
    for named, source in ((explicit, "--config"), (environ.get(VARIABLE), f"${VARIABLE}")):
        if named:
            path = cwd / named
            if not path.exists():
                raise ConfigError([f"{named}: no such file (named by {source})"])
            return path
    for path in (cwd / "gateway.yaml", cwd / "config" / "gateway.yaml"):
        if path.is_file():
            return path
    return PACKAGED
