"""What a plugin is: `Plugin`, and `PluginConfig`, the model of its YAML block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from helicone_gw.audit import AuditSink
    from helicone_gw.config import GatewayConfig
    from helicone_gw.database import Database
    from helicone_gw.measurement import Measurement

FailureMode = Literal["open", "closed"]


class PluginConfig(BaseModel):
    """Base of a plugin's configuration: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Plugin:
    """Base class of every plugin; its hooks are methods marked with ``@hookimpl``.

    ``Config`` is the model of the plugin's YAML block. ``on_failure`` says what an unexpected exception in a hook
    means: "open" (observers) logs it and goes on, "closed" (guards) answers 500; YAML may override it. ``timeout``
    bounds every asynchronous request hook, in seconds. ``tick`` asks for a "tick" chunk every so many seconds of a
    stream. ``capture_bytes`` is how much of each body it wants to find in the exchange's captures (set it on the
    instance when it is configurable). ``after`` and ``before`` name plugins that must stand outside or inside this one:
    checked, never used to sort.

    ``chunks_on_request``: ``on_stream_chunk`` is called only for exchanges whose stream the plugin asked for with
    `Exchange.watch_stream`; all other streams cost nothing. ``answers_on_request``: likewise ``on_response``, with
    `Exchange.read_answer`; an answer that nobody reads passes in the coding in which it came. ``unused_hooks`` (set it
    on the instance) names hooks of a request that its configuration does without: they cost nothing. ``vary`` (set it
    on the instance) names what the plugin's decisions depend on beside address and body of a request: "user",
    "session", "key", "header:<name>", "property:<name>"; a cache outside it then tells such requests apart.

    ``migrations`` are the directories of Alembic revisions of its tables, by branch, for ``helicone-gw db``;
    ``startup`` brings them up to date with ``gateway.database.migrate(branch, directory)``. ``unused_tables`` (set it
    on the instance) names branches that its configuration does without: ``helicone-gw db status`` does not miss them.
    """

    Config: ClassVar[type[PluginConfig]] = PluginConfig
    on_failure: FailureMode = "closed"
    timeout: float | None = None
    tick: ClassVar[float | None] = None
    capture_bytes: int = 0
    chunks_on_request: ClassVar[bool] = False
    answers_on_request: ClassVar[bool] = False
    migrations: ClassVar[Mapping[str, Path]] = {}
    unused_hooks: tuple[str, ...] = ()
    unused_tables: tuple[str, ...] = ()
    vary: tuple[str, ...] = ()
    after: ClassVar[tuple[str, ...]] = ()
    before: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: PluginConfig, name: str) -> None:
        self.config = config
        self.name = name
        """The instance's name: the plugin's, or ``name:`` in the YAML when there are two."""

    def remarks(self, config: GatewayConfig) -> Iterable[str]:
        """What ``helicone-gw check`` is to say of this plugin under ``config``, a line each.

        Called on a plugin that was not started, in a gateway that is connected to nothing.
        """
        return ()

    def warnings(self, config: GatewayConfig) -> Iterable[str]:
        """What ``helicone-gw check`` is to warn of under ``config``, a line each, as `remarks` are asked for."""
        return ()

    def unready(self) -> str | None:
        """Why the gateway had better get no requests at the moment, for ``/readyz``; ``None``: it may.

        Asked whenever somebody looks, and not to wait.
        """
        return None

    @staticmethod
    def audit_sink(database: Database) -> AuditSink | None:
        """Where the plugin keeps audit entries in ``database``; ``None``: nowhere.

        For commands, which run in no gateway; one that runs has `Audit.register`.
        """
        return None

    def measurements(self) -> Iterable[Measurement]:
        """What the plugin counts, beside what is known of every exchange; asked now and then, and not to wait.

        A plugin that was not started is not asked.
        """
        return ()
