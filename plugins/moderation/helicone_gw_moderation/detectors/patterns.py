"""Users' regular expressions: bounded whatever they are, by google-re2 or by what is accepted without it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from helicone_gw_moderation.detectors.base import Category, Finding

try:
    re2: Any = import_module("re2")
except ImportError:  # the extra "re2" is not installed
    re2 = None

SPAN = 512
"""The longest match of a user's expression, in characters: longer ones are not looked for."""

MAX_STEPS = SPAN + 1
"""Without re2: the most ways to match from one place that an expression may have, counted before it is used; as many as
one repetition without a bound has."""


class Unbounded(ValueError):
    """The expression may take long on some text; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One expression with what it finds."""

    label: str
    category: Category
    score: float
    expression: Any


def compile_pattern(source: str, *, use_re2: bool | None = None) -> Any:
    """The expression, compiled by google-re2 where it is installed (linear by construction), else by ``re``.

    ``^`` and ``$`` are the ends of lines. Raises `ValueError` for what cannot be compiled, and `Unbounded` for what
    ``re`` could take more than `MAX_STEPS` ways through: repetitions in repetitions, several long ones in a row,
    back references.
    """
    if re2 is not None if use_re2 is None else use_re2:
        options = re2.Options()
        options.log_errors = False
        try:
            return re2.compile(f"(?m){source}", options=options)
        except re2.error as problem:
            reason = problem.args[0] if problem.args else "not valid"
            raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
    try:
        parsed = _parser.parse(source, re.MULTILINE)
        steps = _steps(parsed)
        compiled = re.compile(source, re.MULTILINE)
    except (re.error, RecursionError, OverflowError) as problem:
        raise ValueError(f"not a regular expression: {problem}") from None
    if steps > MAX_STEPS:
        raise Unbounded(
            f"may match in {steps} ways from one place, more than {MAX_STEPS}: bound its repetitions or install re2"
        )
    return compiled


def find_patterns(patterns: Sequence[Pattern], text: str, detector: str) -> Iterator[Finding]:
    """What each expression matches, at every place where it does within `SPAN` characters."""
    for pattern in patterns:
        for start, end in _matches(pattern.expression, text):
            yield Finding(start, end, detector, pattern.category, pattern.label, pattern.score)


def _matches(expression: Any, text: str) -> Iterator[tuple[int, int]]:
    for base in range(0, len(text), SPAN):
        # One character before, so that a word's edge is seen; twice the span, so that every start has all of it.
        before = min(base, 1)
        piece = text[base - before : base + 2 * SPAN]
        at = before
        while (match := expression.search(piece, at)) is not None and match.start() < before + SPAN:
            start = match.start()
            exact = expression.match(piece[: start + SPAN], start)
            if exact is not None and exact.end() > start:
                yield base - before + start, base - before + exact.end()
            at = start + 1
            if at > len(piece):  # nothing can start there, and an empty match would be told again and again
                break


def _steps(parsed: Any) -> int:
    """An upper bound of the ways through the expression from one place."""
    total = 1
    for operation, argument in parsed:
        total *= _steps_of(operation, argument)
        if total > 10**9:
            return total
    return total


def _steps_of(operation: Any, argument: Any) -> int:
    if operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
        least, most, body = argument
        most = min(int(most), SPAN)
        inner = _steps(body)
        if inner > 1 and most > 1:
            raise Unbounded("repeats what itself repeats or has alternatives: rewrite it or install re2")
        return (most - int(least) + 1) * inner
    if operation is _constants.POSSESSIVE_REPEAT:
        return _steps(argument[2])
    if operation is _constants.SUBPATTERN:
        return _steps(argument[3])
    if operation is _constants.ATOMIC_GROUP:
        return _steps(argument)
    if operation is _constants.BRANCH:
        return sum(_steps(branch) for branch in argument[1])
    if operation in (_constants.ASSERT, _constants.ASSERT_NOT):
        return _steps(argument[1])
    if operation in (_constants.GROUPREF, _constants.GROUPREF_EXISTS, _constants.GROUPREF_IGNORE):
        raise Unbounded("refers back to a group, which cannot be bounded")
    return 1
