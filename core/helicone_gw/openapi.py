"""OpenAPI: what the gateway and its plugins serve beside providers, as one document (OpenAPI 3.1).

It is made of the types that read the bodies and write the answers, so that it cannot say anything else than they do. A
plugin gives its part with ``gateway.pages.describe`` where it mounts its routes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from helicone_gw.access import Role

JSON: Final = "application/json"
_REFERENCE: Final = "#/components/schemas/{name}"
_REASONS: Final = {
    400: "Something in the request is not as it should be; the answer names it.",
    401: "A gateway key is needed, or a session, and none came, or none that is valid.",
    402: "The budget is spent.",
    403: "The caller's role, or its key, is not enough; or the request comes from another site.",
    404: "There is nothing of that name that the caller may see.",
    409: "It cannot be beside what is there.",
    413: "The body is too large.",
    429: "There were too many of these.",
    500: "It could not be done.",
    501: "A package that it needs is not installed.",
    502: "Another server gave no good answer.",
    503: "What is needed for it cannot be reached at the moment, or takes too long.",
}
_SHAPELESS: Final = (401, 403)
"""Statuses of who is not let in at all, and is told so in the shape of the gateway's own errors, or of the route's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOperation:
    """One method and path (parameters in braces), and what is sent and answered there.

    Types are msgspec's, or whatever `msgspec.json.schema` knows. ``body`` and ``query`` are what is read (``None``:
    nothing), ``data`` is the type of the envelope's ``data``; with ``plain``, content types, there is no envelope and
    ``data`` describes all of the answer. ``more`` are members beside ``data`` and ``error``. ``errors`` are statuses
    beside 401, 403 and 503 that come in an envelope, and ``unlike`` those whose JSON is of another type. ``role`` is
    what the caller must be at least; ``None``: no key is needed.
    """

    method: str
    path: str
    tag: str
    summary: str
    description: str = ""
    role: Role | None = "viewer"
    body: Any = None
    query: Any = None
    data: Any = None
    status: int = 200
    errors: tuple[int, ...] = ()
    plain: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    unlike: Mapping[int, Any] = field(default_factory=dict)
    accepts: tuple[str, ...] = (JSON,)

    @property
    def name(self) -> str:
        """Unique among all operations."""
        return f"{self.method.lower()}{re.sub(r'[^A-Za-z0-9]+', '_', self.path)}"

    @property
    def parameters(self) -> list[str]:
        """The names in the path's braces."""
        return re.findall(r"{(\w+)}", self.path)


def api_document(
    operations: Iterable[ApiOperation],
    schemas: Mapping[str, Any] | None = None,
    *,
    title: str = "helicone-gw",
    description: str = "What went through the gateway, and what it and its plugins keep and serve beside that.",
) -> dict[str, Any]:
    """The document. ``schemas`` are further ones, to which types may refer by ``Meta(extra_json_schema=...)``."""
    known = [*operations]
    types: list[Any] = []
    for each in known:
        types += [each.body, each.query, each.data, *each.more.values(), *each.unlike.values()]
    # All at once, so that types of the same name in two plugins are told apart.
    made, found = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    described = iter(made)
    paths: dict[str, dict[str, Any]] = {}
    for each in known:
        body, query, data = next(described), next(described), next(described)
        more = {name: next(described) for name in each.more}
        unlike = {status: next(described) for status in each.unlike}
        answers = _answers(each, data, more, unlike)
        told = _described(each, body, _resolved(query, found), answers)
        paths.setdefault(each.path, {})[each.method.lower()] = told
    failure = {
        "type": "object",
        "properties": {"data": {"type": "null"}, "error": {"type": "string"}, "code": {"type": "string"}},
        "required": ["data", "error"],
    }
    key = {"type": "http", "scheme": "bearer", "description": "A gateway key with the role needed."}
    session = {
        "type": "apiKey",
        "in": "cookie",
        "name": "helicone_gw_session",
        "description": "A browser's session; changes bring its token along as X-CSRF-Token.",
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": description},
        "security": [{"key": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": {**found, **(schemas or {}), "Failure": failure},
            "securitySchemes": {"key": key, "session": session},
        },
    }


def _described(operation: ApiOperation, body: Any, query: Any, answers: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in operation.parameters
    ]
    if operation.query is not None:
        required = query.get("required", ())
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in query["properties"].items()
        ]
    needs = [] if operation.role in (None, "viewer") else [f"Needs the role {operation.role}."]
    description = " ".join([*operation.description.split(), *needs])
    told: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": parameters,
        "responses": answers,
    }
    if description:
        told["description"] = description
    if operation.role is None:
        told["security"] = []
    if operation.body is not None:
        content = {one: {"schema": body if one == JSON else {}} for one in operation.accepts}
        told["requestBody"] = {"required": True, "content": content}
    return told


def _answers(operation: ApiOperation, data: Any, more: Mapping[str, Any], unlike: Mapping[int, Any]) -> dict[str, Any]:
    content: dict[str, Any]
    if operation.plain:
        content = {type_: {"schema": {} if operation.data is None else data} for type_ in operation.plain}
    else:
        properties = {"data": data, "error": {"type": "null"}, **more}
        content = {JSON: {"schema": {"type": "object", "properties": properties, "required": [*properties]}}}
    reasons = {*operation.errors} | ({503} if not operation.plain or operation.errors else set())
    if operation.role is not None:
        reasons |= {401, 403}
    if operation.body is not None:
        reasons |= {400, 413}
    if operation.query is not None:
        reasons.add(400)
    failure = {JSON: {"schema": {"$ref": _REFERENCE.format(name="Failure")}}}
    answers: dict[str, Any] = {str(operation.status): {"description": "Good.", "content": content}}
    for status in sorted(reasons | unlike.keys()):
        shape = {JSON: {"schema": unlike[status]}} if status in unlike else failure
        if status == operation.status:
            content |= shape  # good and bad come with the same status, and differ in their type
        else:
            answers[str(status)] = {"description": _REASONS[status]}
            if status not in _SHAPELESS:
                answers[str(status)]["content"] = shape
    return answers


def _resolved(schema: Any, found: Mapping[str, Any]) -> Any:
    reference = schema.get("$ref")
    return schema if reference is None else found[reference.rpartition("/")[2]]
