"""No text takes long: the work grows as the text does, for whatever the text is made of."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

import pytest

from helicone_gw_moderation.detectors import (
    Detector,
    DetectorsConfig,
    addresses,
    configured,
    encodings,
    invisible,
    phrases,
    secrets,
    shapes,
    views,
)
from helicone_gw_moderation.detectors.rules import BUILT_IN, built_in

DETECTORS = configured(DetectorsConfig(keywords={"brand": ("acme corp*",)}, patterns={"ticket": (r"TICKET-\d{4,8}",)}))
MODULES = (addresses, encodings, invisible, phrases, secrets, shapes, views)

UNITS = [
    *("a", "1", " ", "1 ", "12-", "1.", "1a", "a.-", "é", "ﷺ", "\u200b", "\U000e0041", "::", "0x", "bc1", "[inst]"),
    *("4111 1111 1111 1112 ", "@", "a@", "a@b.", "+49 1", "DE89 ", "AB 12 34 56 ", "TICKET-1234", "ghp_"),
    *("sk-", " sk-", "sk-T3BlbkFJ", "eyJ", "eyJhbGciOi.", "postgres://a:", "password="),
    *("-----BEGIN PRIVATE KEY-----\n", "-----BEGIN A ", "%69", "&#105;", "\\u0069", "QUJD", "6967", "i ", "i  "),
    *("ignore ", "ignore previous ", "never ignore all ", "忽略之前的", "snoitcurtsni ", "vtaber "),
]


def work(detector: Detector, text: str) -> int:
    """Calls that the detector makes, of Python and of C."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        detector.find(text)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
def test_twice_the_text_is_at_most_twice_the_work(detector: Detector) -> None:
    for unit in UNITS:
        once, twice = (work(detector, unit * (size // len(unit))) for size in (2048, 4096))
        assert twice <= 2.1 * once + 64, unit


class Counting:
    """An expression that adds up the characters that it passes over while it looks for the next match."""

    def __init__(self, expression: re.Pattern[str]) -> None:
        self.expression = expression
        self.passed = 0

    def finditer(self, text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[re.Match[str]]:
        at = start
        for match in self.expression.finditer(text, start, end):
            self.passed += match.end() - at
            at = match.end()
            yield match
        self.passed += min(end, len(text)) - at


@pytest.mark.parametrize("unit", ["1234 ::password", "12.34 of ", "1" * 40 + " ", "1 2 3 4 ", "1234 " + "x" * 60])
def test_numbers_are_looked_for_once(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    passed = []
    for size in (4096, 8192):
        counting = Counting(shapes._TOKEN)
        with monkeypatch.context() as patched:
            patched.setattr(shapes, "_TOKEN", counting)
            DETECTORS[1].find(unit * (size // len(unit)))
        passed.append(counting.passed)
    assert passed[1] <= 2.2 * passed[0]


def test_no_expression_of_a_rule_repeats_without_a_bound() -> None:
    for name in BUILT_IN:
        for rule in built_in(name).content.rules:
            if rule.follows:
                assert list(unbounded(_parser.parse(rule.follows))) == [], rule.label


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_no_expression_in_the_code_goes_back_over_a_repetition_without_a_bound(module: ModuleType) -> None:
    """What repeats without a bound is possessive, or a run that ends its expression, which never goes back."""
    for name, value in vars(module).items():
        if isinstance(value, re.Pattern):
            parsed = _parser.parse(value.pattern, value.flags & ~re.UNICODE if isinstance(value.pattern, bytes) else 0)
            assert list(unbounded(parsed)) in ([], [len(parsed) - 1]), f"{module.__name__}.{name}"


def unbounded(parsed: Any) -> Iterator[int]:
    """Places in the expression of what repeats without a bound and may give back; in groups too."""
    for place, (operation, argument) in enumerate(parsed):
        inner: list[Any] = []
        if operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            if argument[1] is _constants.MAXREPEAT:
                yield place
                continue
            inner = [argument[2]]
        elif operation is _constants.SUBPATTERN:
            inner = [argument[3]]
        elif operation is _constants.BRANCH:
            inner = argument[1]
        elif operation in (_constants.ASSERT, _constants.ASSERT_NOT):
            inner = [argument[1]]
        if any(list(unbounded(each)) for each in inner):
            yield place
