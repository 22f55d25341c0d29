"""What every plugin must hold, with limits in force: they are asked and settled, and never reached."""

from __future__ import annotations

from typing import Any, ClassVar

from helicone_gw.testing import PluginConformance
from helicone_gw_ratelimit.plugin import RatelimitPlugin


class TestWithLimitsOfEveryKind(PluginConformance):
    plugin = RatelimitPlugin
    name = "ratelimit"
    config: ClassVar[dict[str, Any]] = {
        "limits": [
            {"policy": "1000000;w=60"},
            {"policy": "100000000;w=60;u=tokens;s=user"},
            {"policy": "100000000;w=60;u=cents;s=key", "models": ["*"]},
            {"policy": "1000000;w=60", "algorithm": "moving-window"},
            {"concurrency": 100000},
        ]
    }


class TestWithPoliciesOfClients(PluginConformance):
    plugin = RatelimitPlugin
    name = "ratelimit"
    headers: ClassVar[dict[str, str]] = {"helicone-ratelimit-policy": "1000000;w=60;u=tokens"}
