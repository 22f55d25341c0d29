"""OpenAPI: the document of this API (OpenAPI 3.1), made of the types that read the bodies and write the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from helicone_gw_security.admin.routing import Operation

_REFERENCE: Final = "#/components/schemas/{name}"
_FAILURES: Final = {
    400: "Something in the request is not as it should be; the answer names it.",
    401: "A gateway key or a session is needed, and none came, or none that is valid.",
    403: "The caller's role, or its key, is not enough; or the session's token is missing.",
    404: "There is nothing of that name in the caller's organisation.",
    409: "It cannot be beside what is there.",
    413: "The body is too large.",
    503: "The database cannot be reached.",
}


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document."""
    types: list[Any] = []
    for operation in operations:
        types += [operation.body, operation.query, operation.data]
    schemas, found = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    described = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        body, query, data = next(described), next(described), next(described)
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(
            operation, body, _resolved(query, found), data
        )
    failure = {
        "type": "object",
        "properties": {"data": {"type": "null"}, "error": {"type": "string"}, "code": {"type": "string"}},
        "required": ["data", "error"],
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "helicone-gw: administration",
            "version": "1",
            "description": "Gateway keys, providers' keys, users, organisations and the audit log.",
        },
        "security": [{"key": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": {**found, "Failure": failure},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A gateway key with the role needed."},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "helicone_gw_session",
                    "description": "A browser's session; changes bring its token along as X-CSRF-Token.",
                },
            },
        },
    }


def _described(operation: Operation, body: Any, query: Any, data: Any) -> dict[str, Any]:
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
    good = {"type": "object", "properties": {"data": data, "error": {"type": "null"}}, "required": ["data", "error"]}
    failure = {"application/json": {"schema": {"$ref": _REFERENCE.format(name="Failure")}}}
    answers: dict[str, Any] = {
        str(operation.status): {"description": "Good.", "content": {"application/json": {"schema": good}}}
    }
    for status, why in _FAILURES.items():
        # Who is not let in at all is told in the shape of the gateway's own errors.
        answers[str(status)] = {"description": why} | ({} if status in (401, 403) else {"content": failure})
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": summary,
        "description": " ".join([*description.split(), f"Needs the role {operation.role}."]),
        "parameters": parameters,
        "responses": answers,
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return described


def _resolved(schema: Any, found: Mapping[str, Any]) -> Any:
    reference = schema.get("$ref")
    return schema if reference is None else found[reference.rpartition("/")[2]]
