"""Files: a prompt as YAML, read with every problem at its line and column, and written so that people can edit it.

::

    id: welcome                    # default: the file's name without its ending
    name: Welcome                  # default: the id
    tags: [support]
    environments: [production]     # those that are at this version; this is the default
    prompt:                        # the body of a chat completion
      model: gpt-4o-mini
      messages:
        - {role: system, content: "You help {{hc:customer:string}}."}
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from helicone_gw_prompts.body import BodyError, check_body, dotted
from helicone_gw_prompts.reading import PRODUCTION
from helicone_gw_prompts.template import ID, NAME, openings

ENDINGS: Final = (".yaml", ".yml")
_KEYS = ("id", "name", "tags", "environments", "prompt")
_MOST_NODES = 100_000
"""Values in one file, aliases followed."""
_ID = re.compile(ID, re.ASCII)
_ENVIRONMENT = re.compile(NAME, re.ASCII)


class PromptFile(Struct, frozen=True):
    """A prompt as its file has it; ``environments`` and ``tags`` are sorted."""

    id: str
    name: str
    tags: list[str]
    environments: list[str]
    body: dict[str, Any]

    @property
    def sha256(self) -> str:
        """The same for files that say the same."""
        said = [self.id, self.name, self.tags, self.environments, self.body]
        return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()


class FileError(ValueError):
    """A file that is no prompt. The message has file, line and column (from 1) in front."""

    def __init__(self, path: Path, line: int, column: int, message: str) -> None:
        super().__init__(f"{path}:{line}:{column}: {message}")


def read_folder(folder: Path, max_size: int, most: int) -> tuple[dict[Path, PromptFile], list[str]]:
    """The prompts in the files of ``folder`` and below, and what is wrong with the others: a line each.

    Two files of one id are a problem, and so are more than ``most``.
    """
    if not folder.is_dir():
        return {}, [f"{folder}: there is no such folder"]
    found: dict[Path, PromptFile] = {}
    problems: list[str] = []
    paths = sorted(path for path in folder.rglob("*") if path.suffix in ENDINGS and path.is_file())
    if len(paths) > most:
        return {}, [f"{folder}: {len(paths):,} prompts, and at most {most:,} are read"]
    by_id: dict[str, Path] = {}
    for path in paths:
        try:
            prompt = read_file(path, max_size)
        except FileError as problem:
            problems.append(str(problem))
            continue
        except OSError as problem:
            problems.append(f"{path}: cannot be read: {problem.strerror}")
            continue
        other = by_id.setdefault(prompt.id, path)
        if other != path:
            problems.append(f"{path}:1:1: the id {prompt.id!r} is that of {other}, too")
            continue
        found[path] = prompt
    return found, problems


def read_file(path: Path, max_size: int) -> PromptFile:
    """The prompt in a file. Raises `FileError`, and `OSError`."""
    data = path.read_bytes()
    if len(data) > 4 * max_size + 65_536:
        raise FileError(path, 1, 1, f"too large: {len(data):,} bytes")
    try:
        return read_text(path, data.decode("utf-8"), max_size)
    except UnicodeDecodeError as problem:
        raise FileError(path, data.count(b"\n", 0, problem.start) + 1, 1, "not UTF-8") from None


def read_text(path: Path, text: str, max_size: int) -> PromptFile:
    """The prompt that ``text`` is; ``path`` names it. Raises `FileError`."""
    tree = _parsed(path, text)
    if not isinstance(tree, CommentedMap):
        raise FileError(path, 1, 1, "not a mapping with `prompt`")
    try:
        said = _plain(tree, [_MOST_NODES], ())
        return _prompt(path.stem, said, max_size)
    except BodyError as problem:
        line, column = _place(tree, problem, text)
        raise FileError(path, line, column, f"{dotted(problem.path)}: {problem.message}") from None


def write_text(prompt: PromptFile) -> str:
    """The text of a prompt's file, which `read_text` reads as the same prompt."""
    said: dict[str, Any] = {
        "id": prompt.id,
        "name": prompt.name,
        "tags": prompt.tags,
        "environments": prompt.environments,
        "prompt": prompt.body,
    }
    text = _dumped(_styled(said, quoted=False))
    try:
        if read_text(Path(f"{prompt.id}.yaml"), text, sys.maxsize) == prompt:
            return text
    except FileError:
        pass
    return _dumped(_styled(said, quoted=True))  # some text in it is nothing that people write


def _prompt(stem: str, said: dict[str, Any], max_size: int) -> PromptFile:
    for key in said:
        if key not in _KEYS:
            raise BodyError((key,), f"there is no such setting; there are {', '.join(_KEYS)}")
    given = said.get("id", stem)
    if not isinstance(given, str) or not _ID.fullmatch(given):
        raise BodyError(("id",) if "id" in said else (), f"{given!r} is no id: letters, digits, _ and -, at most 64")
    name = said.get("name", given)
    if not isinstance(name, str) or not 0 < len(name) <= 255 or "\0" in name:
        raise BodyError(("name",), "not a text of 1 to 255 characters")
    tags, environments = said.get("tags") or [], said.get("environments", [PRODUCTION]) or []
    for key, listed in (("tags", tags), ("environments", environments)):
        if not isinstance(listed, list) or len(listed) > 100:
            raise BodyError((key,), "not a list of at most 100")
        for index, item in enumerate(listed):
            if not isinstance(item, str) or not 0 < len(item) <= 100 or "\0" in item:
                raise BodyError((key, index), "not a text of 1 to 100 characters")
            if key == "environments" and not _ENVIRONMENT.fullmatch(item):
                raise BodyError((key, index), f"{item!r} is no environment: letters, digits, _ and -")
    if "prompt" not in said:
        raise BodyError((), "`prompt` is missing")
    try:
        body = check_body(said["prompt"], max_size)
    except BodyError as problem:
        raise BodyError(("prompt", *problem.path), problem.message, problem.template) from None
    return PromptFile(given, name, sorted(set(tags)), sorted(set(environments)), body)


def _parsed(path: Path, text: str) -> Any:
    try:
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line, column = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
        raise FileError(path, line, column, (problem.problem or "not YAML").split("\n")[0]) from None
    except (YAMLError, ValueError, RecursionError):
        raise FileError(path, 1, 1, "not YAML") from None


def _plain(value: Any, left: list[int], path: tuple[str | int, ...]) -> Any:
    """``value`` without what the YAML library adds. Raises `BodyError` for what JSON has not."""
    left[0] -= 1
    if left[0] < 0 or len(path) > 100:
        raise BodyError(path[:4], "too many values, or nested too deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise BodyError(path, f"the key {key!r} is no text: put it into quotes")
        return {str.__str__(key): _plain(item, left, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, left, (*path, index)) for index, item in enumerate(value)]
    raise BodyError(path, f"{value} is nothing that JSON has: put it into quotes")


def _place(tree: CommentedMap, problem: BodyError, text: str) -> tuple[int, int]:
    """Line and column of what ``problem`` is about, or of the last thing around it that has some."""
    line, column = 0, 0
    node: Any = tree
    for step in problem.path:
        try:
            if isinstance(node, CommentedMap):
                key_only = step == problem.path[-1] and problem.template is None
                line, column = node.lc.key(step) if key_only else node.lc.value(step)
            elif isinstance(node, CommentedSeq):
                line, column = node.lc.item(step)
            node = node[step]
        except (KeyError, IndexError, TypeError, AttributeError):
            break
    if problem.template is None:
        return line + 1, column + 1
    lines = text.splitlines(keepends=True)
    start = sum(map(len, lines[:line])) + column
    found = openings(text[start:])
    at = start + (found[problem.template.nth] if problem.template.nth < len(found) else 0)
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1


def _dumped(value: Any) -> str:
    yaml = YAML()
    yaml.width = 1_000_000
    yaml.allow_unicode = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(value, out)
    return out.getvalue()


def _styled(value: Any, *, quoted: bool) -> Any:
    """``value`` with its texts of several lines as blocks; ``quoted``: with all texts, keys too, in double quotes."""
    if isinstance(value, str):
        if quoted:
            return DoubleQuotedScalarString(value)
        return LiteralScalarString(value) if "\n" in value else value
    if isinstance(value, list):
        return [_styled(item, quoted=quoted) for item in value]
    if isinstance(value, dict):
        return {
            _styled(key, quoted=quoted) if quoted else key: _styled(item, quoted=quoted) for key, item in value.items()
        }
    return value
