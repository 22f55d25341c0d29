"""The exceptions of helicone-gw.

GatewayError                    speech: an answer for the client, with a status
  BadRequest                400
    MalformedBody           400  a body that is not what its dialect says
  AuthenticationFailed      401
  PaymentRequired           402  a budget is used up
  PermissionDenied          403
  NotFound                  404
  MethodNotAllowed          405
  ClientTimeout             408  the client stopped sending its request
  PayloadTooLarge           413
  TooManyRequests           429
  InternalError             500
    PluginFault             500  a plugin that fails closed raised something else
  Unavailable               503
  DeadlineExceeded          504
  UpstreamError             502  one attempt failed: a question for ``on_error``
    UpstreamStatus           -   the provider answered with an error status (its own)
    UpstreamConnectError    502  no connection
    UpstreamTimeout         504  connected, but too slow
    UpstreamProtocolError   502  not HTTP, cut short, or not what its headers say
    UpstreamStreamError      -   an error event inside a stream
StoreUnavailable                the store cannot be reached, or is too slow; a plugin's failure mode answers it
ConfigError                     the configuration cannot be used; raised at start only
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helicone_gw.model import Response, Target


class GatewayError(Exception):
    """An answer to the client that is an error.

    Args:
        message: for the client: what went wrong and what to do next; never a secret.
        status: HTTP status; defaults to the class's.
        code: machine-readable, in the style of OpenAI's ``error.code``; defaults to the class's.
        headers: further response headers (``Retry-After``).
        details: JSON-able detail, put at ``error.details``.
        shape: "native" renders the client's dialect; "helicone" adds Helicone's ``success: false`` (security and
            moderation refusals).
    """

    status = 500
    code = "gateway_error"
    type = "api_error"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        details: Any = None,
        shape: str = "native",
    ) -> None:
        super().__init__(message)
        self.message = message
        if status is not None:
            self.status = status
        if code is not None:
            self.code = code
        self.headers: Mapping[str, str] = headers or {}
        self.details = details
        self.shape = shape


class BadRequest(GatewayError):
    """The request itself is wrong."""

    status = 400
    code = "invalid_request"
    type = "invalid_request_error"


class MalformedBody(BadRequest):
    """The body is not what its dialect says."""

    code = "malformed_body"


class AuthenticationFailed(GatewayError):
    """No valid gateway key, or no credential for the provider."""

    status = 401
    code = "invalid_api_key"
    type = "authentication_error"


class PaymentRequired(GatewayError):
    """A budget is used up."""

    status = 402
    code = "budget_exceeded"
    type = "billing_error"


class PermissionDenied(GatewayError):
    """The key is valid, and may not do this."""

    status = 403
    code = "permission_denied"
    type = "permission_error"


class NotFound(GatewayError):
    """There is nothing at this address."""

    status = 404
    code = "not_found"
    type = "not_found_error"


class MethodNotAllowed(GatewayError):
    """The address exists, the method does not."""

    status = 405
    code = "method_not_allowed"
    type = "invalid_request_error"


class ClientTimeout(GatewayError):
    """The client stopped sending its request."""

    status = 408
    code = "request_timeout"
    type = "invalid_request_error"


class PayloadTooLarge(GatewayError):
    """The body is larger than the configured bound."""

    status = 413
    code = "request_too_large"
    type = "request_too_large"


class TooManyRequests(GatewayError):
    """A limit of ours is reached."""

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"


class InternalError(GatewayError):
    """A fault of ours."""

    status = 500
    code = "internal_error"


class PluginFault(InternalError):
    """A plugin whose failure mode is "closed" raised something that is not a `GatewayError`."""

    code = "plugin_fault"

    def __init__(self, plugin: str, hook: str) -> None:
        super().__init__(f"Plugin {plugin!r} failed in {hook} and is configured to fail closed.")
        self.plugin = plugin
        self.hook = hook


class Unavailable(GatewayError):
    """Not now: something that the answer depends on is away."""

    status = 503
    code = "unavailable"
    type = "overloaded_error"


class DeadlineExceeded(GatewayError):
    """No answer was committed in time."""

    status = 504
    code = "deadline_exceeded"
    type = "timeout_error"


class UpstreamError(GatewayError):
    """One attempt failed. ``target`` says where; ``retry_after`` is the provider's own wish in seconds, if any."""

    status = 502
    code = "upstream_error"
    type = "upstream_error"
    retry_after: float | None = None

    def __init__(self, message: str, *, target: Target | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.target = target


class UpstreamStatus(UpstreamError):
    """The provider answered with an error status; ``response`` is its answer, body buffered, untouched."""

    code = "upstream_status"

    def __init__(self, response: Response, *, target: Target | None = None) -> None:
        super().__init__(f"The provider answered {response.status}.", target=target, status=response.status)
        self.response = response


class UpstreamConnectError(UpstreamError):
    """No connection to the provider."""

    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    """Connected, but too slow."""

    status = 504
    code = "upstream_timeout"
    type = "timeout_error"


class UpstreamProtocolError(UpstreamError):
    """The provider's answer is not HTTP, cut short, or not what its headers say."""

    code = "upstream_protocol_error"


class UpstreamStreamError(UpstreamError):
    """A stream that carried an error event; ``event`` is the event's own bytes."""

    code = "upstream_stream_error"

    def __init__(self, message: str, *, event: bytes, status: int = 502, target: Target | None = None) -> None:
        super().__init__(message, target=target, status=status)
        self.event = event


class StoreUnavailable(Exception):
    """The gateway's store cannot be reached, or is too slow; ``retry_after``: seconds until it is worth another try.

    Not an answer to the client: left to itself, it counts as no opinion of a plugin that fails open, and is a 503 where
    a plugin fails closed. The message holds no address.
    """

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConfigError(Exception):
    """The configuration cannot be used. ``problems`` holds one line each: ``file:line:column: path: message``."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
