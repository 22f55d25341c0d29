"""pydantic's errors about a part of the tree, told with positions, known keys and without any value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from helicone_gw.config.document import Node
from helicone_gw.config.problems import Path, Problems, did_you_mean
from helicone_gw.config.references import redact

M = TypeVar("M", bound=BaseModel)

_MESSAGES = {
    "missing": "is required, and missing",
    "extra_forbidden": "unknown key",
    "string_type": "should be text; put it in quotes if it is",
    "dict_type": "should be a mapping (key: value)",
    "mapping_type": "should be a mapping (key: value)",
    "model_type": "should be a mapping (key: value)",
    "model_attributes_type": "should be a mapping (key: value)",
    "dataclass_type": "should be a mapping (key: value)",
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "set_type": "should be a list",
    "frozen_set_type": "should be a list",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
}
_PREFIXES = ("Value error, ", "Assertion failed, ")


@dataclass(frozen=True, slots=True)
class _Located:
    """An error of pydantic's, and where it lies in the tree.

    ``union`` is where the branches of a union part, when the error belongs to one of them.
    """

    kind: str
    path: Path
    node: Node
    message: str
    of_key: bool
    union: Path | None


def validate(
    model: type[M],
    node: Node,
    path: Path,
    problems: Problems,
    *,
    data: Mapping[str, Any] | None = None,
    also_known: Iterable[str] = (),
) -> M | None:
    """``node`` as a ``model``, or ``None`` with everything that is wrong in ``problems``.

    Args:
        path: where ``node`` stands in the file.
        data: what to validate in place of all that ``node`` holds.
        also_known: keys to suggest beside the model's own.
    """
    try:
        return model.model_validate(node.plain if data is None else data)
    except ValidationError as error:
        schema = _schema(model)
        located = [_locate(details, node) for details in error.errors(include_url=False, include_input=False)]
        for each in _without_noise(located):
            if not _follows(each):
                problems.add(*_told(each, path, schema, also_known))
    except Exception as fault:  # a validator of a plugin's may raise anything
        problems.add(node.key, path, f"cannot be read: {model.__qualname__} raised {type(fault).__name__}")
    return None


def _locate(details: ErrorDetails, root: Node) -> _Located:
    node, path, of_key, union = root, (), False, None  # type: tuple[Node, Path, bool, Path | None]
    kind = details["type"]
    steps = details["loc"]
    for index, step in enumerate(steps):
        child = node.child(step)
        last = index == len(steps) - 1
        if child is not None:
            node, path = child, (*path, step)
        elif last and kind == "missing":
            path = (*path, step)
        elif last and step == "[key]":
            of_key = True
        elif union is None:
            union = path  # a label of pydantic's, for one branch of a union
    return _Located(kind, path, node, _message(details, node), of_key or kind == "extra_forbidden", union)


def _message(details: ErrorDetails, node: Node) -> str:
    message = _MESSAGES.get(details["type"], details["msg"])
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    if details["type"] in ("literal_error", "enum") and isinstance(node.value, str):
        expected = str(details.get("ctx", {}).get("expected", ""))
        message += did_you_mean(node.value, expected.replace(" or ", ", ").replace("'", "").split(", "))
    return redact(message, tuple(pair for each in node.walk() for pair in each.values))


def _without_noise(located: Sequence[_Located]) -> Iterator[_Located]:
    """Of a union's branches, keep those that got furthest; join what the rest say about one and the same place."""
    joined: dict[Path, list[_Located]] = {}
    for each in located:
        if each.union is None:
            yield each
        else:
            joined.setdefault(each.union, []).append(each)
    for union, branches in joined.items():
        deeper = [each for each in branches if len(each.path) > len(union)]
        if deeper:
            yield from deeper
            continue
        first = branches[0]
        messages = list(dict.fromkeys(each.message for each in branches))
        yield _Located(first.kind, first.path, first.node, ", or ".join(messages), first.of_key, union)


def _follows(problem: _Located) -> bool:
    """Whether the problem may only be the consequence of one that has been told already."""
    if problem.kind in ("missing", "extra_forbidden") or problem.of_key:
        return False
    return any(each.broken for each in problem.node.walk())


def _told(problem: _Located, path: Path, schema: Any, also_known: Iterable[str]) -> tuple[Any, Path, str]:
    message = problem.message
    if problem.kind == "extra_forbidden":
        keys = sorted({*_known_keys(schema, problem.path[:-1]), *(also_known if len(problem.path) == 1 else ())})
        message += did_you_mean(str(problem.path[-1]), keys)
        if keys:
            message += f" (known: {', '.join(keys)})"
    position = problem.node.key if problem.of_key else problem.node.start
    return position, (*path, *problem.path), message


def _schema(model: type[BaseModel]) -> Any:
    try:
        return model.model_json_schema()
    except Exception:  # a type without a JSON schema: no suggestions then
        return {}


def _known_keys(schema: Any, path: Path) -> set[str]:
    branches = list(_branches(schema, schema))
    for step in path:
        below = [part for branch in branches for part in _below(branch, step)]
        branches = [branch for part in below for branch in _branches(part, schema)]
    return {name for branch in branches for name in branch.get("properties", {})}


def _branches(part: Any, schema: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """``part`` itself and whatever it refers to or may be."""
    if not isinstance(part, dict) or depth > 20:
        return
    yield part
    reference = part.get("$ref")
    if isinstance(reference, str):
        yield from _branches(schema.get("$defs", {}).get(reference.rpartition("/")[2]), schema, depth + 1)
    for word in ("anyOf", "oneOf", "allOf"):
        for branch in part.get(word, ()):
            yield from _branches(branch, schema, depth + 1)


def _below(part: dict[str, Any], step: str | int) -> Iterator[Any]:
    if isinstance(step, int):
        yield part.get("items")
        yield from part.get("prefixItems", ())[step : step + 1]
    elif step in part.get("properties", {}):
        yield part["properties"][step]
    else:
        yield part.get("additionalProperties")
        yield from part.get("patternProperties", {}).values()
