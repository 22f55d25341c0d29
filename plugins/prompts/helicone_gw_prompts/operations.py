"""Operations: what the REST API of prompts takes and answers, for the gateway's document."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from helicone_gw import ApiOperation, Role
from helicone_gw_prompts import schemas


class Made(Struct, frozen=True, rename="camel"):
    """A prompt that was made, and its first version."""

    id: str
    version_id: str


class MadeVersion(Struct, frozen=True):
    """A version that was made."""

    id: str


class ShownPrompt(Struct, frozen=True):
    """A prompt."""

    id: str
    name: str
    tags: list[str]
    created_at: str


class ListedPrompt(ShownPrompt, frozen=True):
    """A prompt, how many versions it has and which is where."""

    versions: int
    environments: dict[str, str]
    changed_at: str | None


class _Version(Struct, frozen=True):
    id: str
    model: str
    prompt_id: str
    major_version: int
    minor_version: int
    commit_message: str
    environments: list[str]
    created_at: str


class ShownVersion(_Version, frozen=True):
    """A version, and the URL of its body."""

    s3_url: str


class WholeVersion(_Version, frozen=True):
    """A version with its body."""

    prompt_body: dict[str, Any]


class Totals(Struct, frozen=True, rename="camel"):
    """How many versions there are."""

    total_versions: int
    major_versions: int


class Score(Struct, frozen=True):
    """The average of a score, and over how many requests."""

    mean: float
    requests: int


class Compared(Struct, frozen=True):
    """A version with what its requests came to: dollars and milliseconds; what no request tells is null."""

    id: str
    major_version: int
    minor_version: int
    environments: list[str]
    requests: int
    errors: int
    cost: float | None
    costs_unknown: int
    cost_mean: float | None
    latency_mean: float | None
    latency_p50: float | None
    latency_p95: float | None
    time_to_first_token_mean: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    scores: dict[str, Score]


class Inputs(Struct, frozen=True):
    """The inputs with which a request used a version."""

    request_id: str
    version_id: str
    inputs: dict[str, Any]


class OfRequest(Struct, frozen=True, rename="camel"):
    """Of which request."""

    request_id: str = ""


class OldPrompt(Struct, frozen=True):
    """A prompt of requests that had their template in their own text."""

    id: str
    user_defined_id: str
    created_at: str
    updated_at: str
    major_version: int


class OldVersion(Struct, frozen=True):
    """A template of such a prompt."""

    id: str
    major_version: int
    minor_version: int
    created_at: str
    helicone_template: Any


def _one(
    method: str, path: str, summary: str, data: Any = None, *, role: Role = "viewer", body: Any = None, **more: Any
) -> ApiOperation:
    told = {"errors": (400, 404, 409), **more}
    return ApiOperation(
        method=method, path=path, tag="prompts", summary=summary, role=role, body=body, data=data, **told
    )


_PROMPTS: Final = "/v1/prompt-2025"
_BOTH: Final = ((_PROMPTS, ShownVersion), ("/v2/prompt-2025", WholeVersion))

OPERATIONS: Final = (
    _one("POST", _PROMPTS, "Make a prompt.", Made, role="member", body=schemas.Create, status=201),
    _one("GET", f"{_PROMPTS}/id/{{prompt}}", "A prompt.", ShownPrompt),
    _one("POST", f"{_PROMPTS}/id/{{prompt}}/rename", "Give a prompt another name.", role="member", body=schemas.Rename),
    _one(
        "PATCH",
        f"{_PROMPTS}/id/{{prompt}}/tags",
        "Give a prompt other tags.",
        list[str],
        role="member",
        body=schemas.Retag,
    ),
    _one(
        "GET",
        f"{_PROMPTS}/id/{{prompt}}/{{version}}/inputs",
        "The inputs with which a request used a version.",
        Inputs,
        query=OfRequest,
    ),
    _one("DELETE", f"{_PROMPTS}/{{prompt}}", "Delete a prompt with all its versions.", role="member"),
    _one("DELETE", f"{_PROMPTS}/{{prompt}}/{{version}}", "Delete a version.", role="member"),
    _one("GET", f"{_PROMPTS}/tags", "All tags.", list[str]),
    _one("GET", f"{_PROMPTS}/environments", "All environments.", list[str]),
    _one("GET", f"{_PROMPTS}/count", "How many prompts there are.", int),
    _one(
        "POST",
        f"{_PROMPTS}/query",
        "Prompts, by part of their name and by tags.",
        list[ListedPrompt],
        body=schemas.Query,
    ),
    *(
        _one("POST", f"{prefix}/query/{what}", summary, data, body=body)
        for prefix, data in _BOTH
        for what, summary, body in (
            ("version", "A version.", schemas.OfVersion),
            ("production-version", "The version that is in production.", schemas.OfPrompt),
            ("environment-version", "The version that is in an environment.", schemas.OfEnvironment),
        )
    ),
    _one("POST", f"{_PROMPTS}/query/versions", "The versions of a prompt.", list[ShownVersion], body=schemas.Versions),
    _one("POST", f"{_PROMPTS}/query/total-versions", "How many versions there are.", Totals, body=schemas.OfPrompt),
    _one(
        "POST",
        f"{_PROMPTS}/query/compare",
        "The versions of a prompt with what their requests came to.",
        list[Compared],
        body=schemas.Compare,
    ),
    _one("POST", f"{_PROMPTS}/update", "Make a version.", MadeVersion, role="member", body=schemas.Update),
    _one(
        "POST",
        f"{_PROMPTS}/update/environment",
        "Put a version into an environment.",
        role="member",
        body=schemas.Placed,
    ),
    _one(
        "POST",
        f"{_PROMPTS}/remove/environment",
        "Take a version out of an environment.",
        role="member",
        body=schemas.Placed,
    ),
    _one(
        "GET",
        f"{_PROMPTS}/body/{{version}}",
        "The body of a version; a URL that was given out (`s3_url`) needs no key.",
        dict[str, Any],
        plain=("application/json",),
    ),
    _one("POST", "/v1/prompt/query", "Prompts whose templates came with requests.", list[OldPrompt]),
    _one("POST", "/v1/prompt/{prompt}/versions/query", "The templates of such a prompt.", list[OldVersion]),
)
"""All of them."""
