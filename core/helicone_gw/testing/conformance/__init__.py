"""The conformance suite: what every plugin must hold, whatever it is for."""

from __future__ import annotations

from helicone_gw.testing.conformance.exchanges import Exchanges
from helicone_gw.testing.conformance.isolation import Isolation
from helicone_gw.testing.conformance.lifecycle import Lifecycle
from helicone_gw.testing.conformance.offers import Offers

__all__ = ["PluginConformance"]


class PluginConformance(Lifecycle, Exchanges, Isolation, Offers):
    """Subclass it in a test module and name the plugin; pytest runs the suite on it.

    >>> class TestConformance(PluginConformance):  # doctest: +SKIP
    ...     plugin = AuditTrailPlugin

    ``config`` is the plugin's YAML block and ``name`` its name there; by default the class's, "audit-trail" for
    ``AuditTrailPlugin``. ``headers`` are sent with every request, for a plugin that lets nobody in without them. Set
    ``changes_answers`` if it means to give clients other bytes than the provider's: replaced or early answers,
    refusals. A plugin that waits (retries, back-off) is tested faster with ``@pytest.mark.virtual_time`` on the class.
    """
