"""Model names: those that a form may offer: of the configuration, and those that were used lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from helicone_gw_dashboard.asking import TOP, asked
from helicone_gw_dashboard.lens import Lens
from helicone_gw_dashboard.view import Trouble

if TYPE_CHECKING:
    from helicone_gw_dashboard.view import View

MOST: Final = 200
"""Names that are offered."""
USED: Final = 50
"""Of these, so many that were used in the last 30 days."""

DEMO: Final = "demo"
"""The provider, and the model, that answers by itself."""


async def known_models(view: View) -> list[str]:
    """Names of models, the configuration's first; any other may be typed."""
    config = view.gateway.config
    configured = [*config.models, *(name for one in config.providers.values() for name in getattr(one, "models", ()))]
    demo = [DEMO] if DEMO in config.providers else []
    try:
        question = {**asked(Lens.read({"range": "30d"}, view.now)), "by": "model", "limit": USED}
        used = [one["value"] for one in (await view.ask("POST", TOP, json=question))["values"] if one["value"]]
    except Trouble:
        used = []  # no log, no names
    return list(dict.fromkeys([*configured, *demo, *used]))[:MOST]
