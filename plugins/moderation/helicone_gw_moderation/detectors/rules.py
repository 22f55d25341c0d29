"""Rule packs: YAML files of rules, checked when they are read, with the place of every mistake."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from helicone_gw import ConfigError, read_table
from helicone_gw_moderation.detectors.base import Category

BUILT_IN = ("secrets", "pii", "injection")
"""The packs that come with the plugin, and the detectors' names."""

_KINDS = ("words", "anchors", "shapes", "regex", "finder")


class Rule(BaseModel):
    """One rule: exactly one of ``words``, ``anchors``, ``shapes``, ``regex`` and ``finder`` says of which kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str = Field(pattern=r"^[a-z][a-z0-9_]{1,63}$")
    category: Category | None = None
    score: float = Field(default=1.0, gt=0, le=1)
    enabled: bool = True
    note: str = ""
    words: tuple[tuple[str, ...], ...] = Field(default=(), max_length=6)
    gap: int = Field(default=24, ge=0, le=60)
    unless: tuple[str, ...] = ()
    views: bool | None = None
    anchors: tuple[str, ...] = ()
    follows: str = ""
    inside: bool = False
    shapes: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    check: str | None = None
    regex: str = ""
    finder: str | None = None

    @property
    def kind(self) -> str:
        """Which of the kinds the rule is."""
        return next(kind for kind in _KINDS if getattr(self, kind))


class DoubtRule(BaseModel):
    """What speaks against a finding of ``words``; see `doubts`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: tuple[str, ...] = ()
    before: str = ""
    inside: str = ""
    after: str = ""


class RuleFile(BaseModel):
    """What a file of rules holds: the detector that they make up, and the category of rules that name none.

    ``doubts`` speak against findings of ``words`` of any file of the detector's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: str = Field(pattern=r"^[a-z][a-z0-9_]{1,31}$")
    category: Category
    rules: tuple[Rule, ...] = Field(min_length=1, max_length=5000)
    doubts: tuple[DoubtRule, ...] = Field(default=(), max_length=200)


@dataclass(frozen=True, slots=True)
class Pack:
    """A file of rules, read. ``place`` is where a rule stands: ``file:line:column``."""

    file: str
    content: RuleFile
    places: tuple[str, ...]

    def choose(self, on: Sequence[str], off: Sequence[str]) -> Pack:
        """The pack with the rules of the labels ``on`` enabled, and those of ``off`` not; both are shell-style."""
        rules = tuple(
            rule.model_copy(update={"enabled": (rule.enabled or _named(rule, on)) and not _named(rule, off)})
            for rule in self.content.rules
        )
        return Pack(self.file, self.content.model_copy(update={"rules": rules}), self.places)


def _named(rule: Rule, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(rule.label, pattern) for pattern in patterns)


@cache
def built_in(name: str) -> Pack:
    """A pack that comes with the plugin; read once."""
    file = f"{name}.yaml"
    try:
        content = RuleFile.model_validate(read_table("helicone_gw_moderation", f"rules/{file}"))
        pack = Pack(file, content, (file,) * len(content.rules))
        _check(pack)
    except (ValidationError, ConfigError):  # whoever edits it wants to know where
        return read(files("helicone_gw_moderation").joinpath("rules", file).read_text("utf-8"), file)
    return pack


def read_file(path: Path) -> Pack:
    """A user's file of rules. Raises `ConfigError`, as `read`, and when it cannot be read."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "not UTF-8"
        raise ConfigError([f"{path.name}: cannot be read: {reason}"]) from None
    return read(text, path.name)


def read(text: str, file: str) -> Pack:
    """The rules in ``text``. Raises `ConfigError` with a line for each mistake: ``file:line:column: path: message``."""
    yaml = YAML(typ="safe", pure=True)
    try:
        tree = yaml.compose(text)
        data = None if tree is None else yaml.constructor.construct_document(tree)
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = f"{mark.line + 1}:{mark.column + 1}" if mark is not None else "1:1"
        raise ConfigError([f"{file}:{where}: not valid YAML: {problem.problem}"]) from None
    except (YAMLError, RecursionError, ValueError) as problem:
        raise ConfigError([f"{file}:1:1: not valid YAML: {type(problem).__name__}"]) from None
    try:
        content = RuleFile.model_validate(data)
    except ValidationError as problem:
        lines = [
            f"{file}:{_place(tree, error['loc'])}: {'.'.join(map(str, error['loc']))}: {error['msg']}"
            for error in problem.errors(include_url=False, include_input=False)
        ]
        raise ConfigError(lines) from None
    pack = Pack(file, content, tuple(f"{file}:{_place(tree, ('rules', i))}" for i in range(len(content.rules))))
    _check(pack)
    return pack


def _check(pack: Pack) -> None:
    problems: list[str] = []
    for place, rule in zip(pack.places, pack.content.rules, strict=True):
        kinds = [kind for kind in _KINDS if getattr(rule, kind)]
        if len(kinds) != 1:
            problems.append(f"{place}: {rule.label}: needs exactly one of {', '.join(_KINDS)}; has {len(kinds)}")
            continue
        if any(not word.strip("*").strip() for group in rule.words for word in group) or not all(rule.words):
            problems.append(f"{place}: {rule.label}: a group of words is empty, or a word is")
        if rule.anchors and (min(map(len, rule.anchors)) < 2 or not rule.follows):
            problems.append(f"{place}: {rule.label}: anchors have two characters or more, and need follows")
    if problems:
        raise ConfigError(problems)


def _place(node: Any, path: Sequence[str | int]) -> str:
    """Line and column (from 1) of what stands at ``path``, or of the nearest thing around it that is there."""
    at = node
    for step in path:
        found = None
        if at is not None and isinstance(at.value, list):
            if isinstance(step, int) and step < len(at.value) and not isinstance(at.value[step], tuple):
                found = at.value[step]
            elif isinstance(step, str):
                found = next(
                    (value for key, value in (p for p in at.value if isinstance(p, tuple)) if key.value == step), None
                )
        if found is None:
            break
        at = found
    mark = getattr(at, "start_mark", None)
    return f"{mark.line + 1}:{mark.column + 1}" if mark is not None else "1:1"


def context_pattern(words: Sequence[str]) -> re.Pattern[str]:
    """An expression for any of ``words``, which are folded already, each beginning a word or following a script."""
    return re.compile("|".join(rf"(?<![a-z0-9]){re.escape(word)}" for word in words))
