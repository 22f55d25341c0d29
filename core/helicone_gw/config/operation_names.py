"""Names of operations, as the configuration lists them for providers and models."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from helicone_gw.ingress.offered import GROUPS, OPERATIONS

_NAMES = sorted(OPERATIONS | GROUPS.keys())


def _known(name: str) -> str:
    if name not in _NAMES:
        raise ValueError(f"should be one of {', '.join(_NAMES)}")
    return name


OperationName = Annotated[str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": _NAMES})]
"""What is asked of a provider: chat, embeddings, images/generations, images (all of them), ..."""
