"""Operations: what the REST API of the cache takes and answers, for the gateway's document."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from helicone_gw import ApiOperation


class Selected(Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries; all of the caller's where nothing is said. ``older_than`` is an age such as 90s, 12h or 7d."""

    provider: Annotated[str, Meta(min_length=1)] | None = None
    model: Annotated[str, Meta(min_length=1)] | None = None
    older_than: Annotated[str, Meta(pattern=r"^[0-9]{1,9}[smhdw]?$")] | None = None


class Held(Struct, frozen=True):
    """What the cache holds of the caller's, and what it saved since the gateway started."""

    backend: str
    entries: int
    bytes: int
    oldest: str | None
    newest: str | None
    models: list[dict[str, Any]]
    saved: dict[str, Any]
    counters: dict[str, int] = {}


class Cleared(Struct, frozen=True):
    """How many entries are gone."""

    cleared: int


class HeldEntry(Struct, frozen=True):
    """An answer that is kept; ``body`` is its text, or ``body_base64`` what is none."""

    key: str
    fresh: bool
    status: int
    streamed: bool
    stored_at: str
    expires_at: str
    size: int
    body: str = ""
    body_base64: str = ""


OPERATIONS: Final = (
    ApiOperation(
        method="GET",
        path="/v1/cache/stats",
        tag="cache",
        summary="What the cache holds of the caller's.",
        query=Selected,
        data=Held,
    ),
    ApiOperation(
        method="DELETE",
        path="/v1/cache",
        tag="cache",
        summary="Forget answers.",
        role="member",
        query=Selected,
        data=Cleared,
    ),
    ApiOperation(
        method="GET",
        path="/v1/cache/entries/{key}",
        tag="cache",
        summary="An answer that is kept.",
        data=HeldEntry,
        errors=(404,),
    ),
    ApiOperation(
        method="DELETE",
        path="/v1/cache/entries/{key}",
        tag="cache",
        summary="Forget one answer.",
        role="member",
        data=Cleared,
        errors=(404,),
    ),
)
"""All of them."""
