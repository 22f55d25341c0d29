"""Guard: what two texts must have in common, word for word, before an answer to one may be given to the other.

An embedding says that texts are about the same; it is poor at "17" and "24", "with" and "without", Paris and Rome. The
guard compares what can be seen in the letters alone. It knows no grammar and no meaning: it refuses much that would
have been right, and it lets pass what differs in nothing that it looks at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final, Literal, get_args

from helicone_gw_semantic_cache.facts import Facts

Check = Literal["numbers", "units", "names", "negations", "quotes", "code", "poles", "questions", "words"]

CHECKS: Final[tuple[Check, ...]] = get_args(Check)

FEW: Final = 2
"""So many other words make two texts a pair that differs in one point, which is the point."""


def difference(one: Facts, other: Facts, checks: Collection[Check] = CHECKS) -> Check | None:
    """The first of ``checks`` in which the texts differ; ``None``: the guard sees no difference. Symmetric.

    A text that was cut differs in "words" from every other, whatever ``checks`` are.
    """
    if one.cut or other.cut:
        return "words"
    for check in CHECKS:
        if check in checks and not _AGREE[check](one, other):
            return check
    return None


def _names(one: Facts, other: Facts) -> bool:
    """Every name of one text is a word of the other, in the same order."""
    names = one.names | other.names
    if not names:
        return True
    return [word for word in one.words if word in names] == [word for word in other.words if word in names]


def _poles(one: Facts, other: Facts) -> bool:
    """Where both texts speak of one scale, they mean the same ends of it; as often, and then in the same order."""
    for scale in {scale for scale, _ in one.poles} & {scale for scale, _ in other.poles}:
        mine, theirs = ([place for found, place in each.poles if found == scale] for each in (one, other))
        if mine != theirs and (set(mine) != set(theirs) or len(mine) == len(theirs)):
            return False
    return True


def _questions(one: Facts, other: Facts) -> bool:
    return not one.questions or not other.questions or one.questions == other.questions


def _words(one: Facts, other: Facts) -> bool:
    """The same words in the same order, or so many others that it is another sentence altogether.

    Texts that differ in one or two words, or of which one says a little more, are most often two questions.
    """
    mine, theirs = Counter(one.meaning), Counter(other.meaning)
    only_mine, only_theirs = list((mine - theirs).elements()), list((theirs - mine).elements())
    renamed: dict[str, str] = {}
    for word in list(only_mine):
        form = next((each for each in only_theirs if _same_word(word, each)), None)
        if form is not None:
            only_mine.remove(word)
            only_theirs.remove(form)
            renamed[form] = word
    if not only_mine and not only_theirs:
        return list(one.meaning) == [renamed.get(word, word) for word in other.meaning]
    return min(len(only_mine), len(only_theirs)) > FEW


def _same_word(one: str, other: str) -> bool:
    """Whether two words are forms of one, by their letters ("reset", "resetting"; "city", "cities")."""
    short, long = sorted((one, other), key=len)
    if len(short) < 4 or not 0 < len(long) - len(short) <= 4:
        return False
    kept = len(short) if long.startswith(short) else len(short) - 1
    return long.startswith(short[:kept]) and (kept == len(short) or short[-1] in "aeoy")


_AGREE: Final = {
    "numbers": lambda one, other: one.numbers == other.numbers,
    "units": lambda one, other: one.units == other.units,
    "names": _names,
    "negations": lambda one, other: one.negations == other.negations,
    "quotes": lambda one, other: one.quotes == other.quotes,
    "code": lambda one, other: one.code == other.code,
    "poles": _poles,
    "questions": _questions,
    "words": _words,
}
