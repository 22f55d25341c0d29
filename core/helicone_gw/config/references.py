"""References inside text, resolved in scalars of parsed YAML: ``${VAR}``, ``${VAR:-default}``, ``${file:/path}``,
``${command:program arguments}`` and ``${shell:any command}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from helicone_gw.config.programs import output_of, without_line_break

MAX_DEPTH = 8
"""How deeply defaults may nest (``${A:-${B:-c}}``); deeper is an error."""

MAX_FILE = 64 << 10
"""The largest file that ``${file:...}`` reads, in bytes; a larger one is an error."""

_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(:-(?P<default>.*))?", re.DOTALL)
_OTHER = frozenset({"file", "command", "shell"})


@dataclass(frozen=True, slots=True)
class Resolved:
    """Text with its references replaced.

    ``values`` are the (value, reference) pairs that came from outside, so that messages can show the latter in place of
    the former. ``problems`` says what could not be resolved; ``text`` is then of no use.
    """

    text: str
    values: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()


class Resolver:
    """Resolves references against ``environ`` and the file system.

    Args:
        environ: the environment variables.
        directory: where relative paths of ``${file:...}`` start, and where commands run.

    ``$${`` stands for a literal ``${``; any other ``$`` is itself. What a reference gives is never looked at again.
    """

    def __init__(self, environ: Mapping[str, str], directory: Path) -> None:
        self._environ = environ
        self._directory = directory

    def resolve(self, text: str) -> Resolved:
        """``text`` with every reference replaced. Never raises: what cannot be resolved is in ``problems``."""
        if "${" not in text:
            return Resolved(text)
        values: list[tuple[str, str]] = []
        problems: list[str] = []
        resolved = self._resolve(text, values, problems, depth=0)
        return Resolved(resolved, tuple(values), tuple(problems))

    def _resolve(self, text: str, values: list[tuple[str, str]], problems: list[str], depth: int) -> str:
        pieces: list[str] = []
        position = 0
        while True:
            dollar = text.find("$", position)
            if dollar < 0:
                pieces.append(text[position:])
                return "".join(pieces)
            pieces.append(text[position:dollar])
            if text.startswith("$${", dollar):
                pieces.append("${")
                position = dollar + 3
            elif text.startswith("${", dollar):
                end = _closing(text, dollar + 2)
                if end < 0:
                    problems.append("${ without its }; a literal ${ is written $${")
                    return ""
                pieces.append(self._reference(text[dollar + 2 : end], values, problems, depth))
                position = end + 1
            else:
                pieces.append("$")
                position = dollar + 1

    def _reference(self, inside: str, values: list[tuple[str, str]], problems: list[str], depth: int) -> str:
        if depth >= MAX_DEPTH:
            problems.append(f"defaults nest deeper than {MAX_DEPTH}")
            return ""
        variable = _VARIABLE.fullmatch(inside)
        if variable is not None:
            name, default = variable["name"], variable["default"]
            value = self._environ.get(name)
            if default is not None and not value:
                return self._resolve(default, values, problems, depth + 1)
            if value is None:
                problems.append(f"environment variable {name} is not set (${{{name}:-}} would do without)")
                return ""
            values.append((value, f"${{{name}}}"))
            return value
        kind, _, rest = inside.partition(":")
        if kind in _OTHER and rest.strip():
            try:
                value = self._read(kind, rest)
            except ValueError as problem:
                problems.append(str(problem))
                return ""
            values.append((value, f"${{{inside}}}"))
            return value
        problems.append(
            "a reference is ${VAR}, ${VAR:-default}, ${file:/path} or ${command:program}; a literal ${ is written $${"
        )
        return ""

    def _read(self, kind: str, rest: str) -> str:
        """What a file or a command gives. Raises `ValueError` that says what is wrong with it."""
        if kind == "file":
            return _read(self._directory / rest)
        return output_of(rest, shell=kind == "shell", environ=self._environ, directory=self._directory)


def _closing(text: str, position: int) -> int:
    """Index of the ``}`` that closes a reference whose inside starts at ``position``, or -1."""
    depth = 1
    for mark in _MARKS.finditer(text, position):
        depth += 1 if mark[0] == "${" else -1
        if depth == 0:
            return mark.start()
    return -1


_MARKS = re.compile(r"\$\{|\}")


def _read(path: Path) -> str:
    """A secret's file without the line break at its end. Raises `ValueError` that says what is wrong with the file."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise ValueError(f"{path} is larger than {MAX_FILE >> 10} KiB")
        text = data.decode()
    except OSError as problem:
        raise ValueError(f"cannot read {path}: {problem.strerror or type(problem).__name__}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    return without_line_break(text)


def redact(message: str, values: tuple[tuple[str, str], ...]) -> str:
    """``message`` with every value that came from a reference replaced by that reference."""
    for value, reference in sorted(values, key=lambda pair: len(pair[0]), reverse=True):
        for spelling in (value, repr(value)[1:-1]):
            if len(spelling) >= 4:
                message = message.replace(spelling, reference)
            elif spelling:
                # A short value may be part of an ordinary word or number, which is left alone.
                bounded = rf"(?<![\w-]){re.escape(spelling)}(?!\w)"
                message = re.sub(bounded, reference.replace("\\", r"\\"), message)
    return message
