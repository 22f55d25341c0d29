"""OpenAPI: the document of the REST API (OpenAPI 3.1), made of the types that read the bodies and write the answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from helicone_gw_logging.api.routes import Operation

_REFERENCE: Final = "#/components/schemas/{name}"
_ALWAYS: Final = {
    401: "A gateway key is needed, and none came, or not a valid one.",
    403: "The key may not use this path, or the request comes from another site.",
    503: "The database cannot be reached, or takes too long.",
}
_WHY: Final = {
    400: "Something in the request is not as it should be; the answer names it.",
    404: "There is nothing of that name that the caller may see.",
    409: "It is there already.",
    413: "The body is too large.",
}


def document(operations: Iterable[Operation], components: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The document. ``components`` are further schemas, which types may refer to by ``Meta(extra_json_schema=...)``."""
    known = [*operations]
    types: list[Any] = []
    for operation in known:
        types += [operation.body, operation.query, operation.data, *operation.more.values()]
    schemas, found = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    described = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for operation in known:
        body, query, data = next(described), next(described), next(described)
        more = {name: next(described) for name in operation.more}
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(
            operation, body, _resolved(query, found), data, more
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "helicone-gw",
            "version": "1",
            "description": "What went through the gateway: requests, properties, scores, sessions, users and sums.",
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": {**found, **(components or {}), "Failure": _envelope({"type": "null"}, {"type": "string"}, {})},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A gateway key."}},
        },
    }


def _described(operation: Operation, body: Any, query: Any, data: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    summary, _, description = (operation.handler.__doc__ or "").strip().partition("\n")
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in operation.parameters
    ]
    if operation.query is not None:
        required = query.get("required", ())
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in query["properties"].items()
        ]
    if not operation.plain:
        content = {"application/json": {"schema": _envelope(data, {"type": "null"}, more)}}
    else:
        content = {type_: {"schema": {} if operation.data is None else data} for type_ in operation.plain}
    reasons = {**_ALWAYS, **{status: _WHY[status] for status in operation.errors}}
    if operation.body is not None:
        reasons |= {status: _WHY[status] for status in (400, 413)}
    if operation.query is not None:
        reasons[400] = _WHY[400]
    failure = {"application/json": {"schema": {"$ref": _REFERENCE.format(name="Failure")}}}
    answers: dict[str, Any] = {str(operation.status): {"description": "Good.", "content": content}}
    for status in sorted(reasons):
        answers[str(status)] = {"description": reasons[status]} | ({} if status in (401, 403) else {"content": failure})
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": summary,
        "parameters": parameters,
        "responses": answers,
    }
    if description.strip():
        described["description"] = " ".join(description.split())
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return described


def _envelope(data: Any, error: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    properties = {"data": data, "error": error, **more}
    return {"type": "object", "properties": properties, "required": [*properties]}


def _resolved(schema: Any, found: Mapping[str, Any]) -> Any:
    reference = schema.get("$ref")
    return schema if reference is None else found[reference.rpartition("/")[2]]
