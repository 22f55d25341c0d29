"""The configuration of the local detectors, and the detectors that it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from helicone_gw import ConfigError, PluginConfig
from helicone_gw_moderation.detectors.base import Detector

Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,63}$")]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class LengthConfig(PluginConfig):
    """How long a text may be, in characters."""

    min: Annotated[int, Field(ge=0)] = 0
    max: Annotated[int, Field(ge=1)] | None = None


class DetectorsConfig(PluginConfig):
    """The local detectors: which rules there are."""

    files: tuple[Path, ...] = Field(default=(), description="Files of rules of your own, in the form of the packs.")
    keywords: dict[Label, tuple[Text, ...]] = Field(
        default_factory=dict, description="Words and phrases by label; * at an end of one allows more letters there."
    )
    patterns: dict[Label, tuple[Text, ...]] = Field(
        default_factory=dict, description="Regular expressions by label; matches have at most 512 characters."
    )
    off: tuple[str, ...] = Field(default=(), description="Labels of rules that are switched off, shell-style patterns.")
    on: tuple[str, ...] = Field(default=(), description="Labels of rules to switch on that are off, as generic_secret.")
    length: LengthConfig | None = Field(default=None, description="Category length: too_short, too_long.")
    json_schema: dict[str, Any] | None = Field(
        default=None, description="Category schema: not_json, schema_mismatch. JSON Schema of a text."
    )
    promptbadger: bool = Field(default=False, description="Its rules and classifier too (extra promptbadger).")


def configured(config: DetectorsConfig) -> tuple[Detector, ...]:
    """The detectors that ``config`` asks for. Raises `ConfigError` with a line for each rule that cannot be used."""
    # Few gateways look for anything: what all of them import is the configuration alone.
    from helicone_gw_moderation.detectors.badger import PromptbadgerDetector
    from helicone_gw_moderation.detectors.detector import build_detectors
    from helicone_gw_moderation.detectors.output import LengthDetector, SchemaDetector
    from helicone_gw_moderation.detectors.rules import BUILT_IN, Pack, Rule, RuleFile, read_file

    packs = [read_file(path) for path in config.files]
    rules = [Rule(label=label, words=(words,)) for label, words in config.keywords.items() if words]
    rules += [Rule(label=label, regex=source) for label, sources in config.patterns.items() for source in sources]
    if rules:
        content = RuleFile(detector="keywords", category="keyword", rules=tuple(rules))
        packs.append(Pack("detectors", content, tuple("detectors" for _ in rules)))
    detectors = list(build_detectors(BUILT_IN, packs=packs, off=config.off, on=config.on))
    problems: list[str] = []
    if config.length is not None:
        detectors.append(LengthDetector(config.length.min, config.length.max))
    for wanted, make in (
        (config.json_schema is not None, lambda: SchemaDetector(config.json_schema or {})),
        (config.promptbadger, PromptbadgerDetector),
    ):
        try:
            detectors += [make()] if wanted else []
        except ConfigError as problem:
            problems += problem.problems
    if problems:
        raise ConfigError(problems)
    return tuple(detectors)
