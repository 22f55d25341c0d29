"""Operations: what the addresses of `ingest.routes` take and answer, for the document of the REST API."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from helicone_gw import ApiOperation

_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
_TEXT: Final = "text/plain"
_EMPTY: Final = "text/html"
_TAG: Final = "logging afterwards"


class Failed(Struct, frozen=True):
    """Why nothing was taken."""

    error: str


class WrongField(Struct, frozen=True):
    """A field that is not as it should be."""

    field: str
    message: str


class Invalid(Struct, frozen=True, rename="camel"):
    """All that is wrong with a call."""

    is_valid: bool
    errors: list[WrongField]


class Status(Struct, frozen=True):
    """OTLP's own word for what is wrong (``google.rpc.Status``)."""

    message: str


_LOG: Final = ("/oai/v1/log", "/anthropic/v1/log", "/googleapis/v1/log", "/custom/v1/log")
_CUSTOM: Final = ("/v1/trace/custom/v1/log", "/v1/trace/custom/log")


def _told(path: str, summary: str, answer: tuple[str, ...], unlike: dict[int, Any], **more: Any) -> ApiOperation:
    asked = {"body": dict[str, Any], "role": "member", **more}
    return ApiOperation(method="POST", path=path, tag=_TAG, summary=summary, plain=answer, unlike=unlike, **asked)


_TRACED: Final[dict[int, Any]] = {400: Status, 501: Status}

OPERATIONS: Final = (
    *(
        _told(
            path,
            "Tell of an exchange afterwards; `ok`, or why there is no room for it.",
            (_TEXT,),
            {200: Failed, 400: Failed},
        )
        for path in _LOG
    ),
    *(
        _told(path, "Tell of an exchange with any provider afterwards.", (_EMPTY,), {400: Failed, 500: Failed})
        for path in _CUSTOM
    ),
    _told(
        "/v1/trace/custom/log/typed",
        "The same, checked field by field.",
        (_EMPTY,),
        {400: Invalid, 500: Invalid},
    ),
    _told("/v1/log/request", "The message of Helicone's own gateways.", (_EMPTY,), {400: Failed, 500: Failed}),
    _told(
        "/v1/trace/log",
        "Spans of OpenTelemetry: OTLP as JSON, or as protobuf.",
        (_JSON, _PROTOBUF),
        _TRACED,
        accepts=(_JSON, _PROTOBUF),
    ),
    _told(
        "/v1/trace/log-python", "Spans of OpenTelemetry: OTLP as protobuf.", (_PROTOBUF,), _TRACED, accepts=(_PROTOBUF,)
    ),
)
"""All of them."""
