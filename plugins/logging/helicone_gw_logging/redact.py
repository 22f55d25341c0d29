"""Redaction: finds credentials in bytes and text by their form, and puts a marker in their place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from importlib.resources import files

import msgspec

from helicone_gw_logging.suspicion import Suspicion

MARKER = "[redacted]"
OVERLAP = 4096
"""Longest secret, in bytes, that is still recognised as a whole when a body is cut inside it."""
MIN_SECRET = 6
"""Shorter credentials are not looked for: what is that short occurs everywhere."""

_MARKER = MARKER.encode()


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of ``secrets.json``.

    ``pattern`` follows one of ``begins`` at the beginning of a word; without ``begins`` it stands for itself and is
    only tried where one of its ``needles`` occurs (and ``also`` somewhere). ``fold`` ignores case (``needles`` are then
    lower-case), ``cut`` is for the end of a body that was cut. The group ``secret``, if there is one, is what is
    replaced.
    """

    name: str
    pattern: str
    begins: list[str] = []
    needles: list[str] = []
    also: str = ""
    fold: bool = False
    cut: bool = False


# Patterns are only tried where their needle occurs, and what else there must be; and compiled when they first are: all
# of them would be a hundredth of the program's start.
_Compiled = Callable[[], re.Pattern[bytes]]
_Rule = tuple[tuple[bytes, bytes], _Compiled]


def _replacement(match: re.Match[bytes]) -> bytes:
    if "secret" not in match.re.groupindex:
        return _MARKER
    whole, start = match[0], match.start()
    return whole[: match.start("secret") - start] + _MARKER + whole[match.end("secret") - start :]


def _rules(form: _Form) -> Iterator[_Rule]:
    flags = re.IGNORECASE if form.fold else 0
    compiled = cache(partial(re.compile, form.pattern.encode(), flags))
    for needle in form.needles:
        yield (needle.encode(), form.also.encode()), compiled
    for begin in form.begins:
        head = re.escape(begin).encode()
        # Not inside a word, but right behind a JSON or percent escape, whose last letter is none. It looks back from
        # behind the beginning, because a pattern that begins with plain text is searched for much faster.
        boundary = b"(?:%s)" % b"|".join(
            look % head
            for look in (
                rb"(?<![A-Za-z0-9]%s)",
                rb"(?<=\\[nrtbf]%s)",
                rb"(?<=\\u[0-9A-Fa-f]{4}%s)",
                rb"(?<=%%[0-9A-Fa-f]{2}%s)",
            )
        )
        yield (begin.encode(), b""), cache(partial(re.compile, head + boundary + form.pattern.encode(), flags))


def _is_phrase(form: _Form) -> bool:
    """Whether the form is more than one key: words around it, blanks in it."""
    return not form.begins or "Bearer" in form.begins


_FORMS = msgspec.json.decode(files(__package__).joinpath("secrets.json").read_bytes(), type=list[_Form])
_RULES = tuple(rule for form in _FORMS if not form.fold for rule in _rules(form))
_FOLDED_RULES = tuple(rule for form in _FORMS if form.fold for rule in _rules(form))
is_suspicious = Suspicion(
    keys=[begin.encode() for form in _FORMS if not _is_phrase(form) for begin in form.begins],
    phrases=[needle.encode() for form in _FORMS if not (form.fold or form.also) for needle in form.needles],
    words=[
        *(needle.encode() for form in _FORMS if form.fold for needle in form.needles),
        *(begin.lower().encode() for form in _FORMS if _is_phrase(form) for begin in form.begins),
    ],
    forms=[(also, compiled) for (_, also), compiled in _RULES if also],
)
_CUT_PATTERNS = tuple(re.compile(form.pattern.encode(), re.IGNORECASE) for form in _FORMS if form.cut)


def redact(data: bytes, secrets: Iterable[bytes] = (), *, cut: bool = False) -> bytes:
    """``data`` with every credential replaced by `MARKER`.

    Args:
        data: JSON, text or anything else; what is not ASCII is left alone.
        secrets: credentials known as such, replaced wherever they occur (from `MIN_SECRET` bytes on).
        cut: the data ends in the middle, so that it may end with the beginning of a key.
    """
    for secret in secrets:
        if len(secret) >= MIN_SECRET:
            data = data.replace(secret, _MARKER)
    if is_suspicious(data):
        data = _redacted(data)
    if cut:
        end = data[-OVERLAP:]
        for pattern in _CUT_PATTERNS:
            end = pattern.sub(_replacement, end)
        data = data[:-OVERLAP] + end
    return data


def holds_credential(data: bytes, secrets: Iterable[bytes] = ()) -> bool:
    """Whether `redact` might change ``data``, which was not cut. A yes may be wrong, a no never is."""
    for secret in secrets:  # a generator takes longer than the search
        if len(secret) >= MIN_SECRET and secret in data:
            return True
    return is_suspicious(data)


def may_hold_credential(data: bytes, secrets: Iterable[bytes] = ()) -> bool:
    """The same at a glance, so that a yes is wrong more often; what begins like any key needs no looking for."""
    begins = is_suspicious.begins
    for secret in secrets:
        if len(secret) >= MIN_SECRET and not secret.startswith(begins) and secret in data:
            return True
    return is_suspicious.at_a_glance(data)


def _redacted(data: bytes) -> bytes:
    for (needle, also), compiled in _RULES:
        if needle in data and also in data:
            data = compiled().sub(_replacement, data)
    lowered = data.lower()
    last = None
    for (needle, _), compiled in _FOLDED_RULES:
        if compiled is not last and needle in lowered:
            data = compiled().sub(_replacement, data)
            last = compiled
    return data


def redact_text(text: str, secrets: Iterable[bytes] = ()) -> str:
    """The same for text."""
    return redact(text.encode("utf-8", "surrogatepass"), secrets).decode("utf-8", "surrogatepass")
