"""Tables: data that comes with a package, written as YAML and read from a compiled twin of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

ENDING = ".json"
"""What a twin's name has after that of its source: ``units.yaml.json``."""


def read_table(package: str, path: str) -> Any:
    """The content of the YAML file ``path`` (``data/units.yaml``) of ``package``: dictionaries, lists and scalars.

    It is made anew by each call; who asks often keeps it. A twin that was compiled (`compile_table`) from this very
    text is read in its place: YAML takes a hundred times as long, which every start of every worker would pay.
    Raises `FileNotFoundError`.
    """
    folder = files(package)
    text = folder.joinpath(path).read_bytes()
    try:
        twin = json.loads(folder.joinpath(path + ENDING).read_bytes())
    except (FileNotFoundError, ValueError):
        return _parsed(text)
    return twin["content"] if twin["source"] == _digest(text) else _parsed(text)


def compile_table(source: Path) -> Path:
    """Write the twin of the YAML file ``source``, and return where.

    Raises `ValueError` for content that JSON would change, such as keys that are numbers.
    """
    text = source.read_bytes()
    content = _parsed(text)
    compiled = json.dumps({"source": _digest(text), "content": content}, ensure_ascii=False, separators=(",", ":"))
    if json.loads(compiled)["content"] != content:
        raise ValueError(f"{source.name}: JSON cannot hold this; is a key of it a number or a date?")
    twin = source.with_name(source.name + ENDING)
    twin.write_text(compiled + "\n", encoding="utf-8")
    return twin


def compile_tables(sources: Sequence[str]) -> None:
    """Compile the files of these names: `make tables`."""
    for source in sources:
        compile_table(Path(source))


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _parsed(text: bytes) -> Any:
    from ruamel.yaml import YAML  # not needed where the twins are current

    return YAML(typ="safe", pure=True).load(text)
