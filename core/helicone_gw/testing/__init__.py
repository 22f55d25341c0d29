"""The test kit of helicone-gw: a gateway in memory, a scripted provider, virtual time, and what every plugin must hold.

>>> from helicone_gw.testing import ScriptedProvider
>>> from helicone_gw.testing.dialects import openai_chat
>>> provider = ScriptedProvider(openai_chat.stream("Hello!").cut(events=2, how="reset"), openai_chat.reply("Hello!"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helicone_gw.testing.answers import usual_answer
    from helicone_gw.testing.client import LiveReply, NoAnswer, Reply, ServerSentEvent
    from helicone_gw.testing.clock import VirtualClock
    from helicone_gw.testing.conformance import PluginConformance
    from helicone_gw.testing.loop import Stalled, VirtualTimeLoop, run_virtual
    from helicone_gw.testing.provider import Answer, ScriptedProvider
    from helicone_gw.testing.record import RecordedRequest
    from helicone_gw.testing.running import GatewayFactory, RunningGateway
    from helicone_gw.testing.script import ScriptedResponse, event, of_bytes, of_events, of_json

__all__ = [
    "Answer",
    "GatewayFactory",
    "LiveReply",
    "NoAnswer",
    "PluginConformance",
    "RecordedRequest",
    "Reply",
    "RunningGateway",
    "ScriptedProvider",
    "ScriptedResponse",
    "ServerSentEvent",
    "Stalled",
    "VirtualClock",
    "VirtualTimeLoop",
    "event",
    "of_bytes",
    "of_events",
    "of_json",
    "run_virtual",
    "usual_answer",
]

# pytest imports this package at every start, to find the plugin in it; what the kit is made of can wait.
_HOME = {
    "Answer": "provider",
    "GatewayFactory": "running",
    "LiveReply": "client",
    "NoAnswer": "client",
    "PluginConformance": "conformance",
    "RecordedRequest": "record",
    "Reply": "client",
    "RunningGateway": "running",
    "ScriptedProvider": "provider",
    "ScriptedResponse": "script",
    "ServerSentEvent": "client",
    "Stalled": "loop",
    "VirtualClock": "clock",
    "VirtualTimeLoop": "loop",
    "event": "script",
    "of_bytes": "script",
    "of_events": "script",
    "of_json": "script",
    "run_virtual": "loop",
    "usual_answer": "answers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
