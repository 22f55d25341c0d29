"""Configuration: a plugin's settings as rows to be read, without any secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, SecretBytes, SecretStr

HIDDEN: Final = "hidden"
MOST_ROWS: Final = 500
LONGEST: Final = 300
"""Characters of a value that are shown."""

_SECRET = re.compile(
    r"(^|_)(passwords?|passwd|passphrase|password_hash|hash|salt|secrets?|tokens?|credentials?|api_?keys?|"
    r"private_keys?|signing_keys?|encryption_keys?|key|dsn|cookie|authorization)$",
    re.IGNORECASE,
)
"""Names of settings that are hidden whatever their type is: third-party plugins may not mark them."""
_USERINFO = re.compile(r"(?<=://)[^/@\s]*@")
_QUERY = re.compile(r"\?.*$", re.S)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its ``path`` (``limits.0.policy``), its value as text, and whether it is as it would be anyway."""

    path: str
    value: str
    usual: bool


def settings(config: BaseModel) -> list[Setting]:
    """All settings of ``config`` in their order; secrets, and what is named like one, as `HIDDEN`."""
    rows: list[Setting] = []
    for row in _of_model(config, ""):
        if len(rows) == MOST_ROWS:
            break
        rows.append(row)
    return rows


def _of_model(model: BaseModel, path: str) -> Iterator[Setting]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        try:
            usual = value == field.get_default(call_default_factory=True)
        except Exception:
            usual = False
        hidden = field.repr is False or (bool(_SECRET.search(name)) and not isinstance(value, (bool, int, float)))
        yield from _of(value, f"{path}{name}", usual=usual, hidden=hidden)


def _of(value: Any, path: str, *, usual: bool, hidden: bool) -> Iterator[Setting]:
    if value is None:
        yield Setting(path, "none", usual)
    elif hidden or isinstance(value, (SecretStr, SecretBytes)):
        yield Setting(path, HIDDEN, usual)
    elif isinstance(value, BaseModel):
        yield from _of_model(value, f"{path}.")
    elif isinstance(value, Mapping):
        if not value:
            yield Setting(path, "none", usual)
        for name, each in value.items():
            named = bool(_SECRET.search(str(name).replace("-", "_"))) and isinstance(each, str)
            yield from _of(each, f"{path}.{name}", usual=usual, hidden=named)
    elif isinstance(value, (list, tuple, set, frozenset)):
        if any(isinstance(each, (BaseModel, Mapping)) for each in value):
            for number, each in enumerate(value):
                yield from _of(each, f"{path}.{number}", usual=usual, hidden=False)
        else:
            shown = (HIDDEN if isinstance(each, (SecretStr, SecretBytes)) else _shown(each) for each in value)
            yield Setting(path, ", ".join(shown) or "none", usual)
    else:
        yield Setting(path, _shown(value), usual)


def _shown(value: Any) -> str:
    text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    if "://" in text:
        text = _QUERY.sub("?…", _USERINFO.sub(f"{HIDDEN}@", text))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
