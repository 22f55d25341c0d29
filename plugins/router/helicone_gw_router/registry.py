"""Registry: every model that is known, who offers it under which name, and what it can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from helicone_gw_router.families import capabilities, family
from helicone_gw_router.names import canonical

MAX_NAME = 512
"""Characters of a name that is looked up."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One provider's offer of a model: its ``id`` there, its date (YYYYMMDD) and context length in tokens, if known."""

    provider: str
    id: str
    date: str | None = None
    context: int | None = None
    deprecated: bool = False


@dataclass(slots=True)
class Model:
    """One model. ``id`` is the name that the gateway lists it under; ``offers`` stand in the catalogue's order.

    ``ordered``: the configuration says who serves it, in the order in which to try them. ``said`` is what it says of
    what the model can do, ``operations`` what it is for (empty: anything), ``max_output`` its longest answer in tokens.
    """

    id: str
    name: str = ""
    author: str = ""
    description: str = ""
    context: int | None = None
    offers: list[Offer] = field(default_factory=list)
    ordered: bool = False
    said: Mapping[str, bool] = field(default_factory=dict)
    operations: tuple[str, ...] = ()
    max_output: int | None = None

    @property
    def facts(self) -> Mapping[str, Any]:
        """What ``data/families.yaml`` says of it: the configuration may call it what it likes."""
        return family(self.offers[0].id if self.ordered and self.offers else self.id)

    @property
    def capabilities(self) -> dict[str, bool]:
        """What it can and cannot do, as far as that is known: the configuration's word goes first."""
        return {**capabilities(self.facts), **self.said}

    @property
    def lacks(self) -> frozenset[str]:
        """What it is known not to be able to do."""
        return frozenset(name for name, able in self.capabilities.items() if not able)

    def providers(self) -> tuple[str, ...]:
        """Who offers it, each once."""
        return tuple(dict.fromkeys(offer.provider for offer in self.offers))


Recognises = Callable[[str], bool]
"""Whether a provider itself knows a model under this name."""


class Registry:
    """Models by name. ``homes`` are the providers whose own names models have: what they recognise is sent as it is."""

    def __init__(self, aliases: Mapping[str, str], homes: Mapping[str, Recognises] | None = None) -> None:
        self._models: dict[str, Model] = {}
        self._aliases = {canonical(name)[0]: meant for name, meant in aliases.items()}
        self._exact_aliases = dict(aliases)
        self._own: dict[str, Model] = {}
        self._homes = dict(homes or {})

    def models(self) -> Iterable[Model]:
        """Every model: the configuration's, then the others."""
        seen: set[int] = set()
        for model in (*self._own.values(), *self._models.values()):
            if id(model) not in seen:
                seen.add(id(model))
                yield model

    def add(self, provider: str, id: str, **facts: Any) -> None:
        """Note that ``provider`` offers the model that it calls ``id``. ``facts`` are of `Offer` and `Model`."""
        key, date = self._key(id)
        model = self._models.get(key)
        if model is None:
            model = self._models[key] = Model(id.rpartition("/")[2], facts.get("name") or "")
        model.offers.append(Offer(provider, id, date, facts.get("context"), bool(facts.get("deprecated"))))
        model.description = model.description or facts.get("description") or ""
        if provider in self._homes and not model.author and canonical(id)[0] == key:
            # Its maker knows best what it is called and how long its context is.
            model.id, model.author = id, provider
            model.name, model.context = facts.get("name") or id, facts.get("context")
        model.context = model.context or facts.get("context")

    def settle(self) -> None:
        """Name the models that nobody's home is: by the spelling that most of their providers use."""
        for model in self._models.values():
            if not model.author:
                names = [offer.id.rpartition("/")[2].lower() for offer in model.offers]
                model.id = max(names, key=lambda name: (names.count(name), ":" not in name, -len(name)))

    def configure(
        self,
        name: str,
        *,
        upstream: str,
        providers: tuple[str, ...],
        aliases: tuple[str, ...],
        context: int | None,
        max_output: int | None = None,
        operations: tuple[str, ...] = (),
        said: Mapping[str, bool] | None = None,
    ) -> None:
        """Add a model of the configuration, or change one that is known. ``said`` is of `Model`."""
        known = self.find(upstream) or self.find(name)
        if providers:
            model = Model(name, name, ordered=True, context=context or (known.context if known else None))
            model.offers = [Offer(provider, upstream, None, model.context) for provider in providers]
            model.author = known.author if known else providers[0]
        elif known is not None:
            model = known
            model.context = context or model.context
        elif operations or said or max_output:
            # Nobody is known to offer it, but what is said of it holds where it is asked for.
            model = Model(name, name, context=context)
        else:
            return
        model.max_output = max_output or model.max_output
        model.operations, model.said = operations or model.operations, {**model.said, **(said or {})}
        for each in (name, *aliases):
            self._own[each] = model

    def find(self, name: str) -> Model | None:
        """The model of this name or alias."""
        if len(name) > MAX_NAME:
            return None
        own = self._own.get(name)
        return own if own is not None else self._models.get(self._key(name)[0])

    def knows(self, name: str) -> bool:
        """Whether it is a name or alias of a model."""
        return self.find(name) is not None

    def offers(self, name: str) -> list[Offer]:
        """Who offers ``name``, each provider once, with the id to ask it for. A date in the name is insisted on."""
        model = self.find(name)
        if model is None:
            return []
        if model.ordered:
            return list(model.offers)
        found: dict[str, Offer] = {}
        for provider in model.providers():
            offer = self._best(provider, name, [each for each in model.offers if each.provider == provider])
            if offer is not None:
                found[provider] = offer
        return list(found.values())

    def _best(self, provider: str, name: str, offers: list[Offer]) -> Offer | None:
        meant = self._meant(name)
        exact = next((offer for offer in offers if offer.id == meant), None)
        if exact is not None:
            return exact
        recognises = self._homes.get(provider)
        first = offers[0]
        if recognises is not None and _alike(meant, first.id) and recognises(meant):
            return Offer(provider, meant, canonical(meant)[1], first.context, first.deprecated)
        date = canonical(meant)[1]
        if date is not None:
            dated = next((offer for offer in offers if offer.date == date), None)
            if dated is not None or canonical(name)[1] is not None:
                return dated
        # Without a date what is meant is the provider's current one.
        undated = [offer for offer in offers if offer.date is None]
        return undated[0] if undated else max(offers, key=lambda offer: offer.date or "")

    def _meant(self, name: str) -> str:
        """What an alias stands for; any other name is itself."""
        bare = name.rpartition("/")[2]
        return self._exact_aliases.get(name) or self._exact_aliases.get(bare.lower()) or name

    def _key(self, name: str) -> tuple[str, str | None]:
        key, date = canonical(name)
        meant = self._aliases.get(key)
        return (canonical(meant)[0] if meant is not None else key), date


def _alike(name: str, id: str) -> bool:
    """Whether ``name`` is spelt in the way of ``id``: what recognises it takes more spellings than what answers it."""
    return ("." not in name or "." in id) and (name == name.lower() or id != id.lower())
