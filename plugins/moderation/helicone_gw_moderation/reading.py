"""Reading: the texts of whole bodies of any type, requests and answers, and bodies with others in their place."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from helicone_gw import MalformedBody, every_text, texts_and_runs, with_every_text
from helicone_gw_moderation.forms import parts

Change = Callable[[str], str]
VECTORS: Final = frozenset({"embeddings", "embed", "embed_content", "batch_embed_contents"})
"""Operations whose answers are numbers, and long."""
_JOINED: Final = frozenset({"create_prediction"})
"""Operations whose answers have a text in pieces, which their wire format puts together."""
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_NUMBERS: Final = re.compile(rb"\[\s*[\d-][\d.eE+-]*\s*[],]")
_TOKENIZED: Final = frozenset(
    {
        "prompt",
        "input",
        "context",
        "tokens",
        "inputids",
        "inputtokens",
        "prompttokenids",
        "prompttokens",
        "promptembeds",
    }
)
"""Members that may be a text as numbers: its tokens, or their vectors; as the most lenient parser reads their names."""
_SEEN: Final = ("image/", "audio/", "video/")
"""What is no text, as everybody knows."""


class Texts(NamedTuple):
    """The texts of a body. ``whole``: whether they are all that a model may read of it, but for pictures and sound.

    ``runs`` are those that a model reads as one.
    """

    texts: Sequence[str]
    write: Callable[[Change], bytes]
    whole: bool = True
    runs: Sequence[Sequence[str]] = ()


def in_other_letters(content_type: str) -> bool:
    """Whether a body of this type says that it is not UTF-8: its receiver may then read another text."""
    return any(charset.lower() not in ("utf-8", "utf8", "us-ascii") for charset in _CHARSET.findall(content_type))


def of_request(body: bytes, content_type: str, *, is_json: bool) -> Texts | None:
    """The texts of a request; ``None`` where it has none that could be read. ``is_json``: whatever its type says.

    Raises `MalformedBody` for JSON that is none, or that parsers read differently.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if is_json or kind.endswith("json"):
        texts, runs = texts_and_runs(body)
        return Texts(texts, lambda change: with_every_text(body, change), not is_tokenized(body), runs)
    if kind == "multipart/form-data":
        return _form(body, content_type)
    return _plain(body)


def is_tokenized(body: bytes) -> bool:
    """Whether a JSON request says something in tokens, which only its model's tokenizer reads."""
    if _NUMBERS.search(body) is None:
        return False
    value = msgspec.json.decode(body)
    return isinstance(value, dict) and any(
        name.casefold().replace("_", "") in _TOKENIZED and isinstance(item, list) and any(map(_is_number, item))
        for name, item in value.items()
    )


def _is_number(item: object) -> bool:
    if isinstance(item, list):
        return bool(item) and isinstance(item[0], int | float | list)
    return isinstance(item, int | float)


def of_answer(body: bytes, operation: str, wire: Any) -> Texts | None:
    """The texts of a whole answer to ``operation``; ``None`` where it has none that could be read."""
    if operation in VECTORS:
        return Texts((), lambda change: body)
    if operation in _JOINED:
        return Texts(wire.reply_text(body), lambda change: bytes(wire.with_reply_text(body, change)))
    try:
        return Texts(every_text(body, answer=True), lambda change: with_every_text(body, change, answer=True))
    except MalformedBody:
        return _plain(body)


def _plain(body: bytes) -> Texts | None:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else Texts((text,), lambda change: change(text).encode())


def _form(body: bytes, content_type: str) -> Texts | None:
    found = parts(body, content_type)
    if found is None:
        return None
    texts: list[str] = []
    pieces: list[tuple[int, int, Texts]] = []
    whole = True
    for part in found:
        value = None if in_other_letters(part.kind) else _plain(body[part.start : part.end])
        whole = whole and (value is not None or part.kind.startswith(_SEEN))
        called = None if part.called is None else _plain(body[slice(*part.called)])
        for span, each in ((part.called, called), ((part.start, part.end), value)):
            if span is not None and each is not None:
                pieces.append((*span, each))
                texts += [text for text in each.texts if text]

    def write(change: Change) -> bytes:
        out: list[bytes] = []
        at = 0
        for start, end, each in pieces:
            out += (body[at:start], each.write(change))
            at = end
        return b"".join((*out, body[at:]))

    return Texts(texts, write, whole)
