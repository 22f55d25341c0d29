"""Chain: the start-up compiler, from a pluggy PluginManager to tuples of callables in YAML order.

pluggy names, validates and registers; it does not await, and its ``firstresult`` would return a coroutine. So its
registry is read once, here, and the pipeline walks plain tuples. A hook that nobody implements is an empty tuple.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pluggy

from helicone_gw.plugin import Plugin

REQUEST_HOOKS = (
    "pre_request",
    "route_model",
    "on_attempt",
    "on_stream_chunk",
    "before_stream",
    "before_end",
    "on_response",
    "on_error",
    "on_finish",
)
INWARDS = frozenset({"pre_request", "route_model"})
"""Hooks that run outermost first; the others run innermost first."""
MAY_BE_PLAIN = frozenset({"on_finish"})
"""Asynchronous hooks that may be plain functions: called as such, they need no task to be safe from cancellation."""
MAY_ANSWER_AT_ONCE = frozenset({"pre_request", "route_model", "on_attempt"})
"""Asynchronous hooks that may be plain functions of a value, or of an awaitable of it where they have to wait: every
exchange passes them, and one that has nothing to say, as most have of most, costs no coroutine."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One plugin's implementation of one hook, called with all of the hook's arguments, in order.

    ``index`` is the plugin's place in the list, 0 outermost. ``closed`` and ``timeout`` are the plugin's failure mode.
    ``plain``: it is none of the coroutine functions that the hook may be (see `MAY_BE_PLAIN`); ``at_once`` likewise
    (see `MAY_ANSWER_AT_ONCE`). ``on_request``: it is called only where the plugin asked for it
    (`Exchange.watch_stream`, `Exchange.read_answer`).
    """

    name: str
    index: int
    plugin: str
    call: Callable[..., Any]
    closed: bool
    timeout: float | None
    tick: float | None
    plain: bool = False
    on_request: bool = False
    at_once: bool = False

    def wanted(self, askers: int) -> bool:
        """Whether it is called in an exchange for which the layers of ``askers`` (a bit each) asked."""
        return not self.on_request or bool(askers >> self.index & 1)


@dataclass(frozen=True, slots=True)
class Chain:
    """The compiled onion. ``layers`` are plugin names, outermost first; the tuples are in calling order."""

    layers: tuple[str, ...]
    pre_request: tuple[Hook, ...]
    route_model: tuple[Hook, ...]
    on_attempt: tuple[Hook, ...]
    on_stream_chunk: tuple[Hook, ...]
    on_response: tuple[Hook, ...]
    on_error: tuple[Hook, ...]
    on_finish: tuple[Hook, ...]
    ticks: tuple[Hook, ...]
    """Those of ``on_stream_chunk`` that asked for ticks."""
    capture_bytes: int
    """How much of each body some plugin wants to see afterwards."""
    _identities: tuple[str, ...]
    before_stream: tuple[Hook, ...] = ()
    before_end: tuple[Hook, ...] = ()
    depth: int = field(init=False)
    """Number of layers."""
    ends_plainly: bool = field(init=False)
    """Whether every ``on_finish`` is a plain function, so that nothing waits when an exchange is over."""
    finish_inside: tuple[tuple[Hook, ...], ...] = field(init=False)
    """Those of ``on_finish`` whose layers an exchange entered, by how many layers that were."""

    always_responding: tuple[Hook, ...] = field(init=False)
    """Those of ``on_response`` that are called where no layer asked for the answer."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "always_responding", tuple(hook for hook in self.on_response if hook.wanted(0)))
        object.__setattr__(self, "depth", len(self.layers))
        object.__setattr__(self, "ends_plainly", all(hook.plain for hook in self.on_finish))
        inside = [tuple(hook for hook in self.on_finish if hook.index < depth) for depth in range(self.depth + 1)]
        object.__setattr__(self, "finish_inside", tuple(inside))

    def fingerprint(self, plugin: str) -> str:
        """SHA-256 over names and configuration of the plugins inside ``plugin``: its safety policy, to a cache."""
        inside = self._identities[self.layers.index(plugin) + 1 :]
        return hashlib.sha256("\x00".join(inside).encode()).hexdigest()

    def responding(self, readers: int) -> Sequence[Hook]:
        """``on_response`` of an exchange for which the layers of ``readers`` (a bit each) asked for the answer."""
        if not readers:
            return self.always_responding
        return [hook for hook in self.on_response if hook.wanted(readers)]

    def reads_answer(self, readers: int) -> bool:
        """Whether any layer reads the answer of an exchange for which the layers of ``readers`` (a bit each) asked."""
        return bool(self.responding(readers))

    def hooks(self) -> dict[str, tuple[Hook, ...]]:
        """Every request hook with its implementations, in calling order."""
        return {name: getattr(self, name) for name in REQUEST_HOOKS}


def compile_chain(plugins: Sequence[Plugin], manager: pluggy.PluginManager) -> Chain:
    """The chain of ``plugins`` (outermost first), all of them registered with ``manager``."""
    places = {id(plugin): index for index, plugin in enumerate(plugins)}
    compiled: dict[str, tuple[Hook, ...]] = {}
    for name in REQUEST_HOOKS:
        caller = getattr(manager.hook, name)
        specified = tuple(caller.spec.argnames)
        hooks = [
            _hook(name, places[id(impl.plugin)], impl.plugin, impl.function, impl.argnames, specified)
            for impl in caller.get_hookimpls()
            if name not in impl.plugin.unused_hooks
        ]
        hooks.sort(key=lambda hook: hook.index, reverse=name not in INWARDS)
        compiled[name] = tuple(hooks)
    return Chain(
        layers=tuple(plugin.name for plugin in plugins),
        **compiled,
        ticks=tuple(hook for hook in compiled["on_stream_chunk"] if hook.tick),
        capture_bytes=max((plugin.capture_bytes for plugin in plugins), default=0),
        _identities=tuple(_identity(plugin) for plugin in plugins),
    )


def _hook(
    name: str,
    index: int,
    plugin: Plugin,
    function: Callable[..., Any],
    argnames: Sequence[str],
    specified: tuple[str, ...],
) -> Hook:
    call = _with_all(function, argnames, specified)
    waits = inspect.iscoroutinefunction(function)
    plain, at_once = name in MAY_BE_PLAIN and not waits, name in MAY_ANSWER_AT_ONCE and not waits
    on_request = plugin.chunks_on_request if name == "on_stream_chunk" else plugin.answers_on_request
    on_request = on_request and name in ("on_stream_chunk", "on_response")
    closed = plugin.on_failure == "closed"
    return Hook(name, index, plugin.name, call, closed, plugin.timeout, plugin.tick, plain, on_request, at_once)


def _with_all(function: Callable[..., Any], argnames: Sequence[str], specified: Sequence[str]) -> Callable[..., Any]:
    """``function``, callable with all of the hook's arguments: pluggy lets it name only those that it needs."""
    if tuple(argnames) == tuple(specified):
        return function
    picks = tuple(specified.index(argument) for argument in argnames)

    def call(*arguments: Any) -> Any:
        return function(*(arguments[pick] for pick in picks))

    return call


def _identity(plugin: Plugin) -> str:
    # Secrets print as stars in a dump, so two policies that differ only in a secret look alike: a secret is no policy.
    kind = f"{type(plugin).__module__}.{type(plugin).__qualname__}"
    return f"{kind}:{plugin.name}:{plugin.on_failure}:{plugin.config.model_dump_json()}"


def lifecycle_hooks(
    plugins: Sequence[Plugin], manager: pluggy.PluginManager, name: str
) -> list[tuple[Plugin, Callable[..., Any]]]:
    """The plugins (outermost first) that implement a hook outside the request's path, each with its function."""
    caller = getattr(manager.hook, name)
    functions = {
        id(impl.plugin): _with_all(impl.function, impl.argnames, caller.spec.argnames)
        for impl in caller.get_hookimpls()
    }
    return [(plugin, functions[id(plugin)]) for plugin in plugins if id(plugin) in functions]


UNSAFE_ORDERS: tuple[tuple[str, str, str], ...] = (
    ("logging", "cache", "cache hits would not be logged"),
    ("security", "cache", "a caller without a valid key could be answered from the cache"),
    ("logging", "security", "refused callers would not be logged"),
    ("cost", "cache", "what a cache hit saved would not be priced"),
    ("prompts", "cache", "the cache would not see the expanded prompt"),
    ("prompts", "ratelimit", "limits would not count the expanded prompt"),
    ("ratelimit", "retries", "our own 429 would be retried"),
    ("cache", "moderation", "cached answers would be checked again on every hit"),
    ("fallbacks", "retries", "a target would be given up before it was retried"),
)
"""(outer, inner, what goes wrong otherwise): checked by ``helicone-gw check``, never used to sort."""


def unsafe_orders(plugins: Sequence[Plugin], kinds: Mapping[str, str] | None = None) -> list[str]:
    """Warnings about the order of ``plugins`` (outermost first), for people.

    ``kinds`` says which plugin an instance is, where its name is another.
    """
    names = [(kinds or {}).get(plugin.name, plugin.name) for plugin in plugins]
    place = {name: index for index, name in reversed(list(enumerate(names)))}
    rules = [
        *UNSAFE_ORDERS,
        *(
            (outer, name, "the plugin asks for it")
            for name, plugin in zip(names, plugins, strict=True)
            for outer in plugin.after
        ),
        *(
            (name, inner, "the plugin asks for it")
            for name, plugin in zip(names, plugins, strict=True)
            for inner in plugin.before
        ),
    ]
    return [
        f"{outer!r} should stand before (outside) {inner!r}: {reason}"
        for outer, inner, reason in rules
        if outer in place and inner in place and place[outer] > place[inner]
    ]
