"""A cache on disk holds what every plugin must hold, interrupted starts included."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from helicone_gw.testing import PluginConformance
from helicone_gw_cache.plugin import CachePlugin


class TestCacheOnDisk(PluginConformance):
    plugin = CachePlugin
    name = "cache"
    config: ClassVar[dict[str, Any]] = {"enabled": True, "backend": {"url": "disk://cache-of-the-suite.db"}}

    @pytest.fixture(autouse=True)
    def in_a_directory_of_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
