"""The cache that caches everything holds what every plugin must hold."""

from __future__ import annotations

from typing import Any, ClassVar

from helicone_gw.testing import PluginConformance
from helicone_gw_cache.plugin import CachePlugin


class TestCacheThatCachesEverything(PluginConformance):
    """Without being asked to, at the pace of the first answer, with stale answers."""

    plugin = CachePlugin
    name = "cache"
    config: ClassVar[dict[str, Any]] = {
        "enabled": True,
        "replay": "paced",
        "stale_while_revalidate": 60,
        "stale_if_error": 60,
    }


class TestCacheThatIsAskedTo(PluginConformance):
    """As it is, for clients that ask for it."""

    plugin = CachePlugin
    name = "cache"
    headers: ClassVar[dict[str, str]] = {"helicone-cache-enabled": "true", "helicone-cache-bucket-max-size": "2"}
