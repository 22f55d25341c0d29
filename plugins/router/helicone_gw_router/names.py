"""Names of models: which spellings mean the same one."""

from __future__ import annotations

import re
from functools import lru_cache

_VENDOR = re.compile(
    r"^(?:(?:global|regional|us-gov|us|eu|apac|jp|au|ca)\.)?"
    r"(?:ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshotai|nvidia|openai|qwen|writer|zai)\."
)
_REVISION = re.compile(r"(?:-v\d+)?:\d+$|-v\d+:\d+$")
_DATE = re.compile(r"[-@](20\d{2})-?(\d{2})-?(\d{2})$")
_MULTIPLE = re.compile(r"-{2,}")


@lru_cache(maxsize=16_384)
def canonical(name: str) -> tuple[str, str | None]:
    """The spelling under which ``name`` is known, and its date (YYYYMMDD), if it has one.

    Vendor, region and revision are taken off, upper case, dots and underscores are levelled, ``-latest`` is no date.

    >>> canonical("anthropic/claude-haiku-4.5"), canonical("us.anthropic.claude-3-5-sonnet-20241022-v2:0")
    (('claude-haiku-4-5', None), ('claude-3-5-sonnet', '20241022'))
    >>> canonical("gpt-4o-2024-08-06"), canonical("accounts/fireworks/models/deepseek-v3p2")
    (('gpt-4o', '20240806'), ('deepseek-v3-2', None))
    """
    text = name.rpartition("/")[2].strip().lower() or name.lower()
    text = _VENDOR.sub("", text)
    text = _REVISION.sub("", text)
    if name.startswith("accounts/fireworks/") or re.search(r"\dp\d", text):
        text = re.sub(r"(\d)p(\d)", r"\1.\2", text)
    text = text.removesuffix("-latest")
    date = _DATE.search(text)
    if date is not None:
        text = text[: date.start()]
    text = _MULTIPLE.sub("-", text.replace(".", "-").replace("_", "-").replace(" ", "-"))
    return text, "".join(date.groups()) if date is not None else None
