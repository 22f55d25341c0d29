"""Measurement: one figure of the gateway or of a plugin, for whoever shows or exports them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct, structs

Kind = Literal["counter", "gauge"]
_NO_LABELS: Mapping[str, str] = MappingProxyType({})


class Measurement(Struct, frozen=True):
    """One figure. A counter only grows, from the start of the process on; a gauge is of now.

    ``name`` is the plugin's and the thing's, in snake case and base units ("cache_evicted", "logging_lag_seconds"),
    without the suffix that a format may want of counters. ``labels`` tell figures of one name apart; whoever gives them
    bounds how many there are. All figures of a name have the same kind and the same labels.
    """

    name: str
    kind: Kind
    help: str
    value: float
    labels: Mapping[str, str] = _NO_LABELS


def measured(
    prefix: str,
    counters: object,
    help: str,
    *,
    gauges: Collection[str] = (),
    without: Collection[str] = (),
    labels: Mapping[str, str] = _NO_LABELS,
) -> Iterator[Measurement]:
    """A measurement for every number in ``counters`` (a dataclass or a msgspec struct), named ``<prefix>_<field>``.

    Those in ``gauges`` are gauges, the others counters; those in ``without`` are left out. ``help`` says what they are
    together. ``prefix`` may be a plugin's name.
    """
    prefix = prefix.replace("-", "_").lower()
    for name in _names(counters):
        value: Any = getattr(counters, name)
        if isinstance(value, (int, float)) and name not in without:
            kind: Kind = "gauge" if name in gauges else "counter"
            yield Measurement(f"{prefix}_{name}", kind, f"{help}: {name.replace('_', ' ')}.", +value, labels)


def _names(counters: object) -> Iterator[str]:
    if isinstance(counters, Struct):
        yield from (field.name for field in structs.fields(counters))
    elif is_dataclass(counters):
        yield from (field.name for field in fields(counters))
    else:
        raise TypeError(f"{type(counters).__name__} is neither a dataclass nor a struct")
