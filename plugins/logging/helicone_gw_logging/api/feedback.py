"""Feedback, scores and properties that come after the answer (contract 1.5, 10.7, 13.1), over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from helicone_gw_logging.api.routes import Call, Refused, Routes
from helicone_gw_logging.corrections import RATING, set_feedback, set_property, set_scores
from helicone_gw_logging.query.reading import reading
from helicone_gw_logging.query.requests import exists

ROUTES = Routes("feedback")

_PAUSES: Final = (0.0, 0.3, 0.7, 1.0)
"""Seconds between looks for a request that was logged by another process, which writes within a second."""

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Score = bool | Annotated[float, Meta(ge=-1e15, le=1e15)]
"""A score: those of many requests have a sum, which Postgres would not reckon beyond what a float holds."""


class Rating(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether an answer was good."""

    rating: bool


class Feedback(Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of a request: a ``rating``, or a ``value`` under a ``name`` of the client's own."""

    id: str = field(name="helicone-id")
    rating: bool | None = None
    name: Name | None = None
    value: bool | float | Annotated[str, Meta(max_length=65_536)] | None = None
    data_type: Literal["boolean", "numerical", "string", "categorical"] | None = field(name="data-type", default=None)


class Scores(Struct, frozen=True, forbid_unknown_fields=True):
    """Scores by their names: numbers, or whether it is so."""

    scores: Annotated[dict[Name, Score], Meta(max_length=100)]


class Property(Struct, frozen=True, forbid_unknown_fields=True):
    """A property of a request."""

    key: Name
    value: Annotated[str, Meta(max_length=65_536)]


@ROUTES.post("/v1/request/{id}/feedback", body=Rating, errors=(404,), role="member")
async def rate(call: Call, body: Rating) -> None:
    """Rate an answer; a later rating takes its place. It is a score, ``helicone-score-feedback``, as well."""
    request = call.path["id"]
    await _there(call, request)
    await _written(set_feedback(call.database, call.scope.organization, request, now=call.now, rating=body.rating))


async def said(call: Call, body: Feedback) -> tuple[None, dict[str, str]]:
    """Say something of a request: ``rating``, or ``name``, ``value`` and ``data-type``."""
    if body.rating is None and body.value is None:
        raise Refused(400, "Feedback needs a rating, or a value.")
    if body.value is not None and body.name is None:
        raise Refused(400, "A value needs a name.")
    rating = body.rating
    if body.name == RATING and body.value is not None:
        if not isinstance(body.value, bool):
            raise Refused(400, f"Feedback of the name {RATING!r} is true or false.")
        rating = body.value
    await _there(call, body.id)
    organization, now = call.scope.organization, call.now
    if rating is not None:
        await _written(set_feedback(call.database, organization, body.id, now=now, rating=rating))
    if body.value is not None and body.name not in (None, RATING):
        type_, value, name = body.data_type or _type(body.value), _as_text(body.value), body.name or ""
        write = set_feedback(call.database, organization, body.id, now=now, name=name, value=value, data_type=type_)
        await _written(write)
    return None, {"message": "Feedback added", "helicone-id": body.id}


for _path in ("/v1/feedback", "/feedback", "/oai/feedback", "/oai/v1/feedback", "/openai/v1/feedback"):
    ROUTES.post(_path, body=Feedback, errors=(404,), more={"message": str, "helicone-id": str}, role="member")(said)


async def score(call: Call, body: Scores) -> None:
    """Give a request scores; each takes the place of an older one of its name."""
    request = call.path["id"]
    await _there(call, request)
    await _written(set_scores(call.database, call.scope.organization, request, body.scores, now=call.now))


for _path in ("/v1/request/{id}/score", "/v1/webhook/request/{id}/score"):
    ROUTES.post(_path, body=Scores, status=201, errors=(404,), role="member")(score)


@ROUTES.route("PUT", "/v1/request/{id}/property", body=Property, errors=(404,), more={"ok": str}, role="member")
async def put_property(call: Call, body: Property) -> tuple[None, dict[str, str]]:
    """Give a request a property, or another value of one that it has."""
    request = call.path["id"]
    await _there(call, request)
    await _written(set_property(call.database, call.scope.organization, request, body.key, body.value))
    return None, {"ok": "true"}


async def _there(call: Call, id: str) -> None:
    """Wait until the request is in the database, if it may still be on its way. Raises `Refused`."""
    for number, pause in enumerate(_PAUSES):
        if pause:
            await call.service.clock.sleep(pause)
        async with reading(call.database) as connection:
            if await exists(connection, call.scope, id):
                return
        if number == 0:
            await call.flushed()
            async with reading(call.database) as connection:
                if await exists(connection, call.scope, id):
                    return
    raise Refused(404, "Request not found")


async def _written(write: Awaitable[bool]) -> None:
    if not await write:
        raise Refused(404, "Request not found")


def _type(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "numerical"


def _as_text(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else f"{value:.17g}"
