"""Model strings: Helicone's ``name[:online][/provider[/uid]]``, ``provider/model``, vendors' ids, lists, exclusions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from helicone_gw import BadRequest

ONLINE = ":online"
"""Suffix of a name that asks for web search."""

HERE = "helicone"
"""Helicone's own name as a provider: its gateway, which is this one, and so no restriction at all."""

MAX_ITEMS = 32
"""Items of one list; more are a mistake, or an attack on whoever tries them all."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a model string: a model's ``name``, at one ``provider`` and one of its deployments if it says so.

    ``prefixed``: it was written ``provider/model``, so that the name is the provider's own.
    """

    name: str
    provider: str | None = None
    deployment: str | None = None
    online: bool = False
    prefixed: bool = False


@dataclass(frozen=True, slots=True)
class ModelString:
    """A whole model string: what to try, in order, and which providers to leave out."""

    items: tuple[Item, ...]
    excluded: frozenset[str] = frozenset()

    @property
    def online(self) -> bool:
        """Whether any item asks for web search."""
        return any(item.online for item in self.items)


def parse(
    text: str, providers: Mapping[str, str], known: Callable[[str], bool], usable: Callable[[str], bool]
) -> ModelString:
    """Read a model string.

    Args:
        text: as the client wrote it.
        providers: name or alias -> name of every provider.
        known: whether this is a name or alias of a model.
        usable: whether a provider can be called.

    Raises `BadRequest` for an exclusion of nothing, or of a provider that does not exist.
    """
    items: list[Item] = []
    excluded: set[str] = set()
    parts = [part for raw in text.split(",") if (part := raw.strip())]
    if len(parts) > MAX_ITEMS:
        raise BadRequest(
            f"A model string may have {MAX_ITEMS} items, and this one has {len(parts)}.", code="model_list_too_long"
        )
    for part in parts:
        if part.startswith("!"):
            slug = part[1:].strip()
            if slug == HERE and slug not in providers:
                continue
            if slug not in providers:
                said = f"{slug[:64]!r} is no provider" if slug else "it names no provider"
                raise BadRequest(f"An exclusion in the model string cannot be read: {said}.", code="unknown_provider")
            excluded.add(providers[slug])
        else:
            named = part if HERE in providers else part.removeprefix(f"{HERE}/").removesuffix(f"/{HERE}")
            items.append(_item(named or part, providers, known, usable))
    return ModelString(tuple(dict.fromkeys(items)), frozenset(excluded))


def _item(text: str, providers: Mapping[str, str], known: Callable[[str], bool], usable: Callable[[str], bool]) -> Item:
    parts = text.split("/")
    if len(parts) == 1 or not all(parts):
        return _named(text)
    first, second, last = parts[0], parts[1], parts[-1]
    if first not in providers:
        if second in providers:
            # Helicone's form; what follows a third part is ignored, as there.
            return _named(first, providers[second], parts[2] if len(parts) == 3 else None)
        if last in providers:
            return _named("/".join(parts[:-1]), providers[last])
        if len(parts) > 3 and parts[-2] in providers:
            return _named("/".join(parts[:-2]), providers[parts[-2]], last)
        return _named(text)
    if known(first) and second in providers:
        return _named(first, providers[second], parts[2] if len(parts) == 3 else None)
    if len(parts) > 2 and last in providers and known("/".join(parts[:-1])):
        return _named("/".join(parts[:-1]), providers[last])
    if known(text) and not usable(providers[first]):
        # A vendor's id whose vendor is a provider of its own: others may serve it.
        return _named(text)
    return replace(_named("/".join(parts[1:]), providers[first]), prefixed=True)


def _named(name: str, provider: str | None = None, deployment: str | None = None) -> Item:
    bare = name.removesuffix(ONLINE)
    online = bare != name and bool(bare)
    return Item(bare if online else name, provider, deployment, online)
