"""Everything: all strings of a JSON body or event, whatever its dialect, for guards; and others put in their place.

What a wire format names is what its API documents. A guard cannot wait for documents: it reads every member but those
that no model reads (identifiers, credentials of tools, pictures), in every spelling, and refuses what JSON parsers
read differently.
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from helicone_gw.dialects._json import Unreadable, check_objects, decode
from helicone_gw.dialects._rewriting import NameOf, Path, with_strings
from helicone_gw.errors import MalformedBody

LONGEST_DOCUMENT = 8 * 1024 * 1024
"""Characters of base64 that are decoded to see whether they are text; longer ones are taken for pictures."""

_SILENT: Final = frozenset(
    {
        *("model", "role", "type", "object", "status", "user", "safetyidentifier", "promptcachekey", "labels"),
        *("metadata", "signature", "thoughtsignature", "encryptedcontent", "encryptedindex", "obfuscation", "etag"),
        *("finishreason", "stopreason", "donereason", "completionreason", "eventtype", "servicetier", "logprobs"),
        *("systemfingerprint", "modelversion", "toplogprobs", "logprobsresult", "groundingsupports", "mimetype"),
        *("createdat", "mediatype", "version", "anthropicversion", "invokedmodelid", "kind", "selflink"),
    }
)
"""Members that no model reads, or that say what other members say; folded (see `_folded`)."""
_LONGEST_ROLE = 20
"""Characters of a role, and of what has spaces in it elsewhere where no model reads; longer ones are read."""
_ADDRESSES: Final = frozenset({"url", "uri", "imageurl", "fileuri", "gcsuri", "fileurl", "serverurl", "s3location"})
"""Members with addresses of what is fetched: they matter in answers, where people follow them."""
_ECHOES: Final = frozenset({"instructions", "additionalinstructions", "tools", "toolchoice", "prompt"})
"""Members in which an answer repeats its request."""
_CREDENTIALS: Final = frozenset({"headers", "authorization", "authorizationtoken"})
"""Members of those that are for the servers alone."""
_FREE: Final = frozenset(
    {
        *("arguments", "args", "input", "response", "json", "tools", "functions", "toolconfig", "parameters", "data"),
        *("responseformat", "format", "schema", "jsonschema", "responseschema", "responsejsonschema", "variables"),
        *("promptvariables", "instances", "attributes", "inputs", "additionalmodelrequestfields", "outputs"),
    }
)
"""Members whose objects have whatever names their authors like: all below them counts."""
_SCHEMAS: Final = frozenset(
    {"tools", "functions", "toolconfig", "instances", "documents", "outputs", "toolresults", "searchresults"}
)
"""Free names that hold lists of objects."""
_SERVERS: Final = frozenset({"tools", "mcpservers"})
"""Lists of what may be servers, and then has credentials."""
_DOCUMENTS: Final = frozenset(
    {
        "data",
        "filedata",
        "bytes",
        "bytesbase64encoded",
        "b64json",
        "image",
        "images",
        "audio",
        "partialimageb64",
        "result",
    }
)
"""Members that may be files in base64."""
_LONGEST_WORD = 256
"""Characters of what looks like base64 and may be a word."""
_IDENTIFIER = re.compile(r".*(?:_|[a-z](?=I))(?:id|ids|Id|Ids)|id|ids|_id")
_SHORT_NAME = re.compile(r"[A-Za-z_$][\w.$-]{0,14}|[A-Za-z_]{1,20}")
"""Names that hold neither a secret nor a sentence."""
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]+={0,2}\s*\Z")


class TextPlace(NamedTuple):
    """A text at ``path``. ``before`` is what stands before its base64, where it is a document, else ``None``."""

    path: Path
    text: str
    before: str | None = None


def every_text(body: bytes, *, answer: bool = False) -> list[str]:
    """Every text in a body, in order: values, long names of members, and documents in base64 that are text.

    ``answer``: of an answer, whose addresses count, and what repeats the request does not. Raises `MalformedBody` for
    what is not JSON, and for an object of a request with two members of one name: parsers differ in which they take.
    """
    return [place.text for place in every_place(_read(body, answer=answer), answer=answer)]


def texts_and_runs(body: bytes) -> tuple[list[str], list[list[str]]]:
    """Every text in a request, as `every_text` has it, and runs of those of parts that follow one another in a list:
    a model reads the two or more of a run as one text. Raises as `every_text`."""
    texts: list[str] = []
    runs: dict[Path, tuple[int, list[str]]] = {}
    found: list[list[str]] = []
    for path, text, before in every_place(_read(body, answer=False)):
        texts.append(text)
        if before is not None or len(path) < 2 or not isinstance(number := path[-2], int):
            continue
        if isinstance(path[-1], NameOf) or _folded(str(path[-1])) != "text":
            continue
        last, run = runs.get(path[:-2], (number, []))
        if number != last + 1:
            run = []
            found.append(run)
        run.append(text)
        runs[path[:-2]] = number, run
    return texts, [run for run in found if len(run) > 1]


def with_every_text(body: bytes, change: Callable[[str], str], *, answer: bool = False) -> bytes:
    """The body with each of those texts as ``change`` makes it, all else as it was. Raises as `every_text`."""
    changes: dict[Path, str] = {}
    for place in every_place(_read(body, answer=answer), answer=answer):
        after = change(place.text)
        if after != place.text:
            changes[place.path] = written(place, after)
    return with_strings(body, changes) if changes else body


def written(place: TextPlace, text: str) -> str:
    """``text`` as it is written at ``place``."""
    return text if place.before is None else place.before + b64encode(text.encode("utf-8", "replace")).decode()


def every_place(value: Any, *, answer: bool = False) -> Iterator[TextPlace]:
    """The texts in a decoded ``value``, each with its place; see `every_text`."""
    stack: list[tuple[Path, Any, str, bool]] = [((), value, "", False)]
    while stack:
        path, current, name, free = stack.pop()
        if isinstance(current, str):
            if current and (place := _place(path, current, name)) is not None:
                yield place
        elif isinstance(current, list):
            stack.extend(((*path, number), current[number], name, free) for number in reversed(range(len(current))))
        elif isinstance(current, dict):
            # An object below a free name; a list there has items of the dialect's own (the input of responses).
            listed = bool(path) and isinstance(path[-1], int)
            free = free or name in _SCHEMAS or (name in _FREE and not listed)
            server = listed and name in _SERVERS
            for key, item in reversed(current.items()):
                folded = _folded(key)
                if (server and folded in _CREDENTIALS) or (not free and _is_silent(key, folded, item, answer)):
                    continue
                stack.append(((*path, key), item, folded, free))
                if _SHORT_NAME.fullmatch(key) is None and key:
                    stack.append(((*path, NameOf(key)), key, "", free))


def is_free(path: Path) -> bool:
    """Whether ``path`` leads through an object whose members are called as somebody likes, such as arguments."""
    return any(isinstance(step, str) and _folded(str(step)) in _FREE for step in path)


def _is_silent(key: str, folded: str, item: Any, answer: bool) -> bool:
    if folded in _SILENT or _IDENTIFIER.fullmatch(key) is not None:
        # What has room for a sentence is read: templates of local models may put any member into what the model reads.
        if isinstance(item, str) and len(item) > _LONGEST_ROLE:
            return folded != "role" and len(item.split(None, 1)) < 2
        return not isinstance(item, dict | list) or folded in ("metadata", "labels", "logprobs", "logprobsresult")
    if answer:
        return folded in _ECHOES and not (folded == "prompt" and isinstance(item, str))
    if folded not in _ADDRESSES or not isinstance(item, str) or item[:5].lower() == "data:":
        return False
    return len(item) <= _LONGEST_ROLE or len(item.split(None, 1)) < 2


def _place(path: Path, text: str, name: str) -> TextPlace | None:
    """The text of a string, which may be a file; ``None`` for a file that is no text."""
    start = 0
    if (url := _DATA_URL.match(text)) is not None:
        start = url.end()
    elif name not in _DOCUMENTS or len(text) < 8 or _BASE64.match(text) is None:
        return TextPlace(path, text)
    plain = _document(text[start:])
    if plain is not None:
        return TextPlace(path, plain, text[:start])
    return TextPlace(path, text) if not start and _may_be_words(text) else None


def _may_be_words(text: str) -> bool:
    """Whether what could be base64 may be words all the same: it is short, has spaces, or hardly any capitals."""
    if len(text) < _LONGEST_WORD or any(map(str.isspace, text[:1000])):
        return True
    sample = text[:1000]
    return sum(char.islower() or char in "_-/+" for char in sample) > 0.8 * len(sample)


def _document(encoded: str) -> str | None:
    if len(encoded) > LONGEST_DOCUMENT:
        return None
    encoded = "".join(encoded.split()).replace("-", "+").replace("_", "/")
    try:
        # The beginning says of nearly every picture that it is none.
        head = a2b_base64(encoded[:64])
        if b"\0" in head or not _is_text(head):
            return None
        found = a2b_base64(encoded + "=" * (-len(encoded) % 4)).decode()
    except (NotBase64, ValueError):
        return None
    return None if "\0" in found else found


def _is_text(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as problem:
        return problem.end == len(head) and problem.reason == "unexpected end of data"
    return True


@lru_cache(maxsize=4096)
def _folded(key: str) -> str:
    """A name as the most lenient parser reads it: Go's knows no case, Google's no underscores."""
    return key.casefold().replace("_", "").replace("-", "") if len(key) <= 64 else key


def _read(body: bytes, *, answer: bool) -> Any:
    try:
        value = decode(body)
        if not answer:
            check_objects(body, _once)
    except Unreadable as problem:
        raise MalformedBody(f"The body is not valid JSON: {problem}") from None
    return value


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise MalformedBody("An object in the request body has two members of one name.")
