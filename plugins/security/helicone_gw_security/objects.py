"""Objects: ids of what providers keep for a key (files, responses, batches, threads, ...), in requests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, unquote_to_bytes, urlsplit

from helicone_gw import BadRequest, FallbackTarget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from helicone_gw import HeliconeHeaders, Request

MOST_IDS: Final = 2000
"""Ids that one request may refer to; one with more cannot be looked through, and is refused."""

OVERLAP: Final = 1024
"""Bytes of an upload that are looked at a second time, with what follows them: an id and the name before it."""

GOOGLES: Final = frozenset({"gemini", "vertex"})
"""Dialects whose objects are named by collection and id (``files/abc``); clients may choose such names."""

_KINDS = (
    "resp|file|cfile|batch|msgbatch|thread|conv|vs|vsfb|asst|ftjob|upload|cntr|container|run|eval|evalrun|video|skill|"
    "chatcmpl|cthr|rtc|ag|assistant"
)
_UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_ANY_UUID = r"(?:urn:uuid:|\{)?[0-9A-Fa-f]{8}-?(?:[0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}\}?"
_ID = rf"(?:(?:{_KINDS})[-_][\w-]{{4,120}}|{_UUID})"
ID: Final = re.compile(_ID, re.ASCII)
"""What an id of OpenAI's, Anthropic's or Mistral's looks like."""

_SPELLED = re.compile(_ANY_UUID, re.ASCII)
_ODD_UUID = re.compile(rb'"(' + _ANY_UUID.encode() + rb')"')

# An id that nobody writes by chance, wherever it stands; shorter ones count where a member says what they are.
_CERTAIN = re.compile(rb"[a-z]+[-_](?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{20,80}")
# What may be one, for a first and quick look: most bodies have few of these.
_QUOTED = re.compile(rb'"((?:[a-z]{2,8}[-_]|[0-9a-f]{8}-)[A-Za-z0-9_-]{4,130})"')
# In a form's field, of either kind, or in JSON; parsers strip, and do without the carriage returns.
_UPLOADED = re.compile(
    rb'(?:"|\n\r?\n|=)[ \t]*(' + _ID.encode() + rb"|" + _ANY_UUID.encode() + rb')(?=[ \t]*(?:"|\r?\n|&|\Z))'
)
_MEMBERS = (
    "previous_response_id|response_id|conversation|conversation_id|input_file_id|training_file|validation_file|file_id|"
    "thread_id|assistant_id|vector_store_id|container|container_id|eval_id|batch_id|video_id|skill_id|call_id|agent_id"
)
_BEFORE = re.compile(rb'"(?:' + _MEMBERS.encode() + rb')"\s*:\s*(?:\{\s*"id"\s*:\s*)?$', re.IGNORECASE)
_LOOK_BACK = 120

# Cohere's are slugs of what the client called them; others have members of these names, too, in arguments of tools.
_SLUG = rb'"([\w.-]{1,120})"'
_DATASET = re.compile(rb'"(?:input_)?dataset_?id"\s*:\s*' + _SLUG, re.IGNORECASE)
_CONNECTOR = re.compile(rb'"connectors"\s*:\s*\[[^\]]{0,4000}', re.IGNORECASE)
_CONNECTED = re.compile(rb'"id"\s*:\s*' + _SLUG, re.IGNORECASE)

_NAMED = r"(?:files|cachedContents|batches|tunedModels|fileSearchStores|operations|batchPredictionJobs)/[\w.-]{1,120}"
_NAME_IN_BODY = re.compile(
    rb'"(?:file_?uri|cached_?content|file_?name|file_?search_?store_?names?|name|uri)"\s*:\s*\[?\s*"(?:[^"\\]{0,512}/)?('
    + _NAMED.encode()
    + rb')["?#:/]',
    re.IGNORECASE,
)
# The rest of a list, and whatever else is called so: of another's, it is refused.
_NAME_ANYWHERE = re.compile(rb'["/](' + _NAMED.encode() + rb')(?=["?#:/])')
_NAME_STARTS = (b"files/", b"cachedContents/", b"batches/", b"tunedModels/", b"fileSearchStores/", b"operations/")
_NAME_IN_PATH = re.compile(rf"/({_NAMED})(?=[/:]|$)", re.ASCII)

_COLLECTIONS = (
    "files|batches|assistants|threads|vector_stores|responses|conversations|containers|videos|evals|uploads|skills|"
    "predictions|libraries|agents|fine_tuning/jobs|batch/jobs|chat/completions|realtime/calls|chatkit/sessions|"
    "datasets|embed-jobs|connectors|fine-tunes|trainings"
)
_IN_PATH = re.compile(rf"/(?:{_COLLECTIONS})/([^/]+)", re.ASCII | re.IGNORECASE)
_LISTED = re.compile(
    rf"/(?:{_COLLECTIONS}|cachedContents|tunedModels|fileSearchStores|operations|batchPredictionJobs)/?$",
    re.ASCII | re.IGNORECASE,
)
_NO_IDS = frozenset(
    {"runs", "search", "input_tokens", "compact", "completions", "edits", "extensions", "characters", "batch", "import"}
)
"""What follows a collection's name and is an action of it."""

_CURSORS = frozenset({"after", "before", "after_id", "before_id", "starting_after", "ending_before", "page"})
"""Parameters that say where a list goes on, and nothing more."""

# JSON lets any character be written as an escape; a quote or a backslash would end what is looked for.
_ESCAPE = re.compile(rb"\\(?:u00([2-7][0-9A-Fa-f])|(/))")
_PLAIN = frozenset(range(0x20, 0x7F)) - {0x22, 0x5C}


@dataclass(frozen=True, slots=True)
class References:
    """Ids that a request names. ``certain`` are references, ``mentioned`` are texts that look like ids, and may be."""

    certain: frozenset[str] = frozenset()
    mentioned: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.certain or self.mentioned)


def references(request: Request, *more: bytes) -> References:
    """The ids that path, query and body of ``request`` name, and those in ``more`` texts of JSON.

    Raises `BadRequest` for more than `MOST_IDS`.
    """
    certain, mentioned = set(in_path(request)), set[str]()
    google = request.dialect in GOOGLES
    helicone = request.helicone
    if helicone.target_url or helicone.openai_api_base or helicone.fallbacks_raw:
        for path in _under(helicone, request.path):
            certain.update(_in_path(path, google))
    if request.query:
        _look_at_query(request.query, certain, mentioned)
    for text in (request.body, *more):
        if text:
            _look(text, certain, mentioned, google=google)
            if request.dialect == "cohere":
                _look_at_coheres(unescaped(text), certain, mentioned)
    if len(certain) + len(mentioned) > MOST_IDS:
        raise BadRequest(f"A request may refer to {MOST_IDS} objects at most.", code="too_many_objects")
    return References(frozenset(certain), frozenset(mentioned - certain))


def _under(helicone: HeliconeHeaders, path: str) -> Iterator[str]:
    """Where ``path`` is asked for at targets that the client named: their own paths stand before it."""
    named = [each.target_url for each in helicone.fallbacks or () if isinstance(each, FallbackTarget)]
    for url in (helicone.target_url, helicone.openai_api_base, *named):
        if url:
            yield f"{urlsplit(url).path}/{path.lstrip('/')}"


def _look_at_query(query: str, certain: set[str], mentioned: set[str]) -> None:
    try:
        parameters = parse_qsl(query, max_num_fields=1000)
    except ValueError:
        raise BadRequest("A query may have 1000 parameters at most.", code="too_many_parameters") from None
    for name, value in parameters:
        spelled = canonical(value.strip())
        if name.lower() not in _CURSORS and ID.fullmatch(spelled):
            (certain if name.lower() in _MEMBERS.split("|") else mentioned).add(spelled)


def canonical(name: str) -> str:
    """An id as it is remembered: a UUID in the one form of many that servers print (RFC 9562, section 4)."""
    if _SPELLED.fullmatch(name) is None:
        return name
    digits = name.removeprefix("urn:uuid:").translate({ord(each): None for each in "{}-"}).lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def in_path(request: Request) -> Sequence[str]:
    """The object that the path names: the outermost one, for what lies in it is the provider's to check."""
    return _in_path(request.path, request.dialect in GOOGLES)


@lru_cache(maxsize=512)
def _in_path(path: str, google: bool) -> Sequence[str]:
    path = _plain_path(path)
    if google and (named := _NAME_IN_PATH.search(path)) is not None:
        return (named[1],)
    found = _IN_PATH.search(path)
    if found is None or found[1].lower() in _NO_IDS:
        return ()
    provided = found[0].lower().startswith("/skills/") and ID.fullmatch(found[1]) is None  # "pptx" is everybody's
    return () if provided else (canonical(found[1]),)


def is_list(request: Request) -> bool:
    """Whether the answer lists objects of everybody who calls with the provider's key."""
    if request.method not in ("GET", "HEAD"):
        return False
    return _LISTED.search(_plain_path(request.path)) is not None and not in_path(request)


def _plain_path(path: str) -> str:
    """The path as a lenient server may read it: without parameters of its segments (RFC 3986, section 3.3)."""
    path = unquote(path)
    return re.sub(r";[^/]*", "", path) if ";" in path else path


def _look_at_coheres(plain: bytes, certain: set[str], mentioned: set[str]) -> None:
    certain.update(each.decode() for each in _DATASET.findall(plain))
    for connectors in _CONNECTOR.findall(plain):
        mentioned.update(each.decode() for each in _CONNECTED.findall(connectors))  # "web-search" is everybody's


def referred(window: bytes) -> set[str]:
    """The ids in a piece of an upload of which a member says that they are."""
    plain = unescaped(window)
    found = (each for each in _QUOTED.finditer(plain) if _BEFORE.search(plain[: each.start()][-_LOOK_BACK:]))
    return {name for each in found if ID.fullmatch(name := each[1].decode("ascii"))}


def is_batch(window: bytes) -> bool:
    """Whether a piece of an upload has lines of a batch, which a provider carries out."""
    return b'"custom_id"' in unescaped(window)


def uploaded(window: bytes, *, form: bool = False) -> set[str]:
    """The ids in a piece of an upload: parts of a form, lines of a batch. ``form``: fields in percent-encoding."""
    plain = unescaped(unquote_to_bytes(window) if form else window)
    found = {canonical(each.decode("ascii")) for each in _UPLOADED.findall(plain)}
    return found | {each.decode("ascii") for each in _named_in(plain)}


def _named_in(plain: bytes) -> Sequence[bytes]:
    # Most bodies have none of these, and a look for each is quicker than one expression for all.
    return _NAME_ANYWHERE.findall(plain) if any(each in plain for each in _NAME_STARTS) else ()


def unescaped(text: bytes) -> bytes:
    """JSON text without escapes of what ids and members' names consist of, and in one byte a letter: some servers read
    UTF-16 and UTF-32, too."""
    if b"\0" in text:
        text = text.replace(b"\0", b"")
    if b"\\u00" not in text and b"\\/" not in text:
        return text
    return _ESCAPE.sub(_as_it_is, text)


def _as_it_is(match: re.Match[bytes]) -> bytes:
    character = b"/" if match[2] else bytes([int(match[1], 16)])
    return character if character[0] in _PLAIN else match[0]


def _look(text: bytes, certain: set[str], mentioned: set[str], *, google: bool) -> None:
    plain = unescaped(text)
    if google:
        certain.update(each.decode("ascii") for each in _NAME_IN_BODY.findall(plain))
    mentioned.update(each.decode("ascii") for each in _named_in(plain))
    for found in _QUOTED.finditer(plain):
        name = found[1].decode("ascii")
        if ID.fullmatch(name) is None:
            continue
        start = found.start()
        if _CERTAIN.fullmatch(found[1]) or _BEFORE.search(plain[max(0, start - _LOOK_BACK) : start]):
            certain.add(name)
        else:
            mentioned.add(name)
    mentioned.update(canonical(each.decode("ascii")) for each in _ODD_UUID.findall(plain))
