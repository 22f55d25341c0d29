"""What the REST API is sent, and what it answers; names are Helicone's (``/v1/prompt-2025``)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from helicone_gw_prompts.reading import Prompt, Summary, Version
from helicone_gw_prompts.template import NAME

_TEXT = r"^[^\0]*\Z"  # Postgres has no NUL in its texts

Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=_TEXT)]
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=_TEXT)]
Tag = Annotated[str, Meta(min_length=1, max_length=100, pattern=_TEXT)]
Tags = Annotated[list[Tag], Meta(max_length=100)]
Environment = Annotated[str, Meta(pattern=rf"^(?:{NAME})\Z", max_length=100)]
Message = Annotated[str, Meta(max_length=10_000, pattern=_TEXT)]
Instant = Annotated[int, Meta(ge=0, le=2**53)]


class Create(Struct, frozen=True, rename="camel"):
    """A new prompt."""

    name: Name
    prompt_body: dict[str, Any]
    tags: Tags = []


class Rename(Struct, frozen=True):
    """Another name."""

    name: Name


class Retag(Struct, frozen=True):
    """Other tags."""

    tags: Tags


class Query(Struct, frozen=True, rename="camel"):
    """Which prompts; ``page`` counts from 0."""

    search: Annotated[str, Meta(max_length=255, pattern=_TEXT)] = ""
    tags_filter: Tags = []
    page: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    page_size: Annotated[int, Meta(ge=1, le=1_000)] = 100


class OfVersion(Struct, frozen=True, rename="camel"):
    """A version."""

    prompt_version_id: Id


class OfPrompt(Struct, frozen=True, rename="camel"):
    """A prompt."""

    prompt_id: Id


class OfEnvironment(Struct, frozen=True, rename="camel"):
    """A prompt in an environment."""

    prompt_id: Id
    environment: Environment


class Versions(Struct, frozen=True, rename="camel"):
    """A prompt's versions, or those of one major version."""

    prompt_id: Id
    major_version: int | None = None


class Update(Struct, frozen=True, rename="camel"):
    """A new version that follows ``prompt_version_id``."""

    prompt_id: Id
    prompt_version_id: Id
    prompt_body: dict[str, Any]
    new_major_version: bool = False
    environment: Environment | None = None
    commit_message: Message = ""


class Placed(Struct, frozen=True, rename="camel"):
    """A version and an environment."""

    prompt_id: Id
    prompt_version_id: Id
    environment: Environment


class Compare(Struct, frozen=True, rename="camel"):
    """The versions of a prompt that were used between two times (epoch milliseconds)."""

    prompt_id: Id
    since: Instant | None = None
    until: Instant | None = None


def prompt_as_json(prompt: Prompt) -> dict[str, Any]:
    """A prompt as the API shows it."""
    return {"id": prompt.id, "name": prompt.name, "tags": prompt.tags, "created_at": moment(prompt.created_at)}


def prompts_as_json(prompts: Sequence[Prompt], summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """A list of prompts as the API shows it: each with how many versions it has, and which is where."""
    told = {one.prompt_id: one for one in summaries}
    shown = []
    for prompt in prompts:
        one = told.get(prompt.id)
        more = {
            "versions": 0 if one is None else one.versions,
            "environments": {} if one is None else one.environments,
            "changed_at": None if one is None else moment(one.changed_at),
        }
        shown.append({**prompt_as_json(prompt), **more})
    return shown


def version_as_json(version: Version, url: str | None) -> dict[str, Any]:
    """A version as the API shows it: with ``url`` to fetch its body from, or without one and with its body."""
    shown: dict[str, Any] = {
        "id": version.id,
        "model": version.model,
        "prompt_id": version.prompt_id,
        "major_version": version.major_version,
        "minor_version": version.minor_version,
        "commit_message": version.commit_message,
        "environments": version.environments,
        "created_at": moment(version.created_at),
    }
    return {**shown, "prompt_body": msgspec.Raw(version.body)} if url is None else {**shown, "s3_url": url}


def moment(at: float) -> str:
    """Epoch seconds as ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
