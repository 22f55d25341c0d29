"""Objects that answers tell of: what a request made, what providers made for it, and lists of what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from helicone_gw_security.objects import GOOGLES, ID, canonical

if TYPE_CHECKING:
    from helicone_gw import Request

LONGEST: Final = 200
"""Characters of an id that is remembered."""

_REFERENCES = frozenset(
    {
        "file_id",
        "output_file_id",
        "error_file_id",
        "thread_id",
        "run_id",
        "vector_store_id",
        "container_id",
        "conversation_id",
        "report_id",
    }
)
_OBJECTS = ("container", "conversation", "file", "thread")
_LISTS = ("result_files", "file_ids", "vector_store_ids")
# What clients put there comes back: an object is nobody's for being named by a stranger in his metadata.
_FREE = frozenset(
    {
        "metadata",
        "attributes",
        "parameters",
        "arguments",
        "schema",
        "json_schema",
        "variables",
        "inputs",
        "input",
        "tools",
        "item_schema",
        "data_source",
        "data_source_config",
        "additional_instructions",
        "labels",
    }
)
_ENTRIES = (
    "data",
    "results",
    "files",
    "cachedContents",
    "batches",
    "operations",
    "tunedModels",
    "fileSearchStores",
    "batchPredictionJobs",
    "datasets",
    "embed_jobs",
    "connectors",
)
_DEPTH = 12


def decoded(body: bytes | None) -> Any:
    """``body`` as JSON; ``None`` if it is none."""
    try:
        return msgspec.json.decode(body or b"")
    except (msgspec.DecodeError, RecursionError):
        return None


def made(request: Request, answer: Any) -> str | None:
    """The id of what a good answer to ``request`` says was made; ``None`` where nothing was."""
    if not isinstance(answer, Mapping):
        return None
    if request.dialect in GOOGLES:
        file = answer.get("file")
        return named(file) if isinstance(file, Mapping) else named(answer)
    name = answer.get("id", answer.get("job_id"))
    return canonical(name) if isinstance(name, str) and 0 < len(name) <= LONGEST else None


def told(answer: Any) -> Iterator[str]:
    """Ids of objects that ``answer``, or an event of one, says providers made: files of a batch, of code that ran,
    containers, threads, runs."""
    if not isinstance(answer, Mapping):
        return
    for root in (answer, answer.get("response"), answer.get("item")):
        if isinstance(root, Mapping):
            yield from _ids(root.get("id"))
    entries = answer.get("data")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping):
            yield from _ids(entry.get("id"))
    yield from _walk(answer, _DEPTH)


def entries(answer: Any) -> list[Any] | None:
    """The objects that a list holds; ``None`` where nobody knows how to read it."""
    if isinstance(answer, list):
        return answer
    if not isinstance(answer, Mapping):
        return None
    found = next((answer[name] for name in _ENTRIES if isinstance(answer.get(name), list)), None)
    return [] if found is None and not answer else found


def id_of(entry: Any) -> str | None:
    """What an entry of a list is called."""
    if not isinstance(entry, Mapping):
        return None
    name = entry.get("id", entry.get("job_id"))
    return canonical(name) if isinstance(name, str) else named(entry)


def without(answer: Any, keep: Callable[[Any], bool], limit: int | None) -> bytes:
    """The list with those entries alone that ``keep`` says, ``limit`` at most; where it goes on is said anew."""
    listed = entries(answer) or []
    left = [entry for entry in listed if keep(entry)]
    more = limit is not None and len(left) > limit
    left = left[:limit] if more else left
    if isinstance(answer, list):
        return msgspec.json.encode(left)
    said = {**answer}
    name = next((each for each in _ENTRIES if isinstance(said.get(each), list)), None)
    if name is not None:
        said[name] = left
    for member, place in (("first_id", 0), ("last_id", -1)):
        if member in said and left:
            said[member] = id_of(left[place])
    if more and "has_more" in said:
        said["has_more"] = True
    for member in ("total", "total_count", "count"):
        if isinstance(said.get(member), int):
            said[member] = len(left)
    return msgspec.json.encode(said)


def named(answer: Mapping[str, Any]) -> str | None:
    """What Google's APIs call an object: collection and id, without what stands before them."""
    name = answer.get("name")
    if not isinstance(name, str) or len(name) > 1000:
        return None
    parts = name.split("/")
    return "/".join(parts[-2:])[:LONGEST] if len(parts) > 1 else None


def _walk(value: Any, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, depth - 1)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if name in _REFERENCES:
                yield from _ids(item)
            elif name in _LISTS and isinstance(item, list):
                for each in item:
                    yield from _ids(each)
            elif name in _OBJECTS and isinstance(item, Mapping):
                yield from _ids(item.get("id"))
            elif name not in _FREE and isinstance(item, dict | list):
                yield from _walk(item, depth - 1)


def _ids(value: Any) -> Iterator[str]:
    if isinstance(value, str) and ID.fullmatch(value):
        yield value
