"""Chains: which models the configuration names after the one that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from helicone_gw_fallbacks.classes import ErrorClass
    from helicone_gw_fallbacks.config import ChainByClass, FallbacksConfig


class Chains:
    """The configuration's chains, in their order."""

    def __init__(self, config: FallbacksConfig) -> None:
        self._chains = tuple((pattern, _by_kind(chain)) for pattern, chain in config.chains.items())

    def after(self, names: tuple[str, ...], kind: ErrorClass) -> tuple[tuple[str, ...], bool]:
        """The models that follow ``names`` (what was asked for, its route) after a failure of this kind.

        And whether they are meant for just this kind: then they go before other providers of the same model.
        """
        for pattern, chain in self._chains:
            if any(fnmatchcase(name, pattern) for name in names):
                if kind in chain:
                    return chain[kind], True
                return chain.get("default", ()), False
        return (), False


def _by_kind(chain: tuple[str, ...] | ChainByClass) -> Mapping[str, tuple[str, ...]]:
    if isinstance(chain, dict):
        return {str(kind): names for kind, names in chain.items()}
    return {"default": chain}


def listed(model: str) -> tuple[str, ...]:
    """The items of a comma list of models, in order, each once.

    >>> listed("gpt-4o, claude-sonnet-4-5,gpt-4o")
    ('gpt-4o', 'claude-sonnet-4-5')
    """
    return tuple(dict.fromkeys(item for part in model.split(",") if (item := part.strip())))
