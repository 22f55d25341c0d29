"""The corpus: sentences from files, values drawn by lot, and hidden forms made of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from ruamel.yaml import YAML

from helicone_gw_moderation.measuring.hiding import HIDINGS
from helicone_gw_moderation.measuring.samples import PERSONAL, SECRETS, near_miss, secret_of

SPLITS = ("train", "held_out", "unseen", "fresh")
SEED = 7
"""Values are drawn anew each time, and the same each time."""

_HIDDEN = 3
"""Sentences of each split that are hidden in each way; as many attacks as look-alikes."""


@dataclass(frozen=True, slots=True)
class Item:
    """One text. ``attack``: whether the detector should find something; ``group`` is its language, label or hiding."""

    detector: str
    split: str
    attack: bool
    text: str
    group: str
    value: str = ""


def load(directory: Path) -> list[Item]:
    """Every item of the corpus in ``directory``. Raises `OSError` when a file is missing."""
    items: list[Item] = []
    sentences: dict[str, Any] = {}
    for file in sorted(directory.glob("injections*.yaml")):
        content = _read(file)
        for language, kinds in (content.get("languages") or {content["language"]: content}).items():
            items += _sentences(language, kinds)
            if "language" in content:
                sentences = kinds
    items += _hidden(sentences)
    items += _values(_read(directory / "values.yaml"), Random(SEED))
    return items


def _read(file: Path) -> Any:
    return YAML(typ="safe", pure=True).load(file.read_text("utf-8"))


def _sentences(language: str, kinds: Mapping[str, Any]) -> Iterator[Item]:
    for kind in ("attacks", "look_alikes"):
        for split, texts in kinds[kind].items():
            for text in texts:
                yield Item("injection", split, kind == "attacks", text, language)


def _hidden(kinds: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterator[Item]:
    for name, hide in HIDINGS.items():
        for kind in ("attacks", "look_alikes"):
            for split, texts in kinds[kind].items():
                for text in texts[:_HIDDEN]:
                    yield Item("injection", split, kind == "attacks", hide(text), name)


def _values(content: Mapping[str, Any], random: Random) -> Iterator[Item]:
    for split in ("train", "held_out"):
        for label, make in SECRETS.items():
            for sentence in random.sample(content["secrets"][split], 2):
                value = make(random)
                yield Item("secrets", split, True, sentence.replace("{value}", value), label, secret_of(label, value))
                yield Item("secrets", split, False, sentence.replace("{value}", near_miss(label, value, random)), label)
        for label, (context, make) in PERSONAL.items():
            for sentence in random.sample(content["pii"][split], 2):
                value = make(random)
                filled = sentence.replace("{context}", context)
                yield Item("pii", split, True, filled.replace("{value}", value), label, value)
                yield Item("pii", split, False, filled.replace("{value}", near_miss(label, value, random)), label)
        for text in content["harmless"][split]:
            yield Item("secrets", split, False, text, "harmless")
            yield Item("pii", split, False, text, "harmless")
