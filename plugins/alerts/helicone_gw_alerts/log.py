"""The log, asked over its own REST API from inside the process, on behalf of an organization."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from helicone_gw import GatewayKey
from helicone_gw_alerts.errors import LogUnavailable, NoSuch, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from helicone_gw import Gateway

RMT = "request_response_rmt"
KNOWN = -1e15
"""Every number that is known is above it."""


class Log:
    """Asks pages of the gateway, each time as a member of the organization that is meant."""

    def __init__(self, gateway: Gateway) -> None:
        self._pages = gateway.pages

    async def get(self, organization: str, path: str, **params: str) -> Any:
        """The ``data`` of a GET. Raises as `post`."""
        return await self._ask(organization, "GET", path, params=params)

    async def post(self, organization: str, path: str, body: Any) -> Any:
        """The ``data`` of a POST.

        Raises `Refusal` for what the page refuses, `NoSuch` for what is not there, and `LogUnavailable`.
        """
        return await self._ask(organization, "POST", path, json=body)

    async def everybody(self, path: str) -> Any:
        """The ``data`` of a GET that sees every organization. Raises as `post`."""
        return await self._ask(None, "GET", path)

    async def _ask(
        self,
        organization: str | None,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> Any:
        caller = None
        if organization is not None:
            caller = GatewayKey(id="alerts", name="alerts", owner="alerts", organization=organization, role="member")
        try:
            answer = await self._pages.ask(method, path, caller=caller, params=params, json=json)
        except RuntimeError as problem:  # the application is not there yet, or no more
            raise LogUnavailable(str(problem)) from None
        try:
            told = msgspec.json.decode(answer.content)
        except msgspec.DecodeError:
            told = None
        if not isinstance(told, dict) or "error" not in told or (answer.status_code == 404 and "data" not in told):
            raise LogUnavailable(f"{path} answered {answer.status_code}: is its plugin there?")
        if answer.status_code == 404:
            raise NoSuch(str(told["error"]))
        if answer.status_code == 400:
            raise Refusal(str(told["error"]))
        if answer.status_code >= 300:
            raise LogUnavailable(f"{path} answered {answer.status_code}")
        return told["data"]


def iso(milliseconds: float) -> str:
    """An instant as the log's queries take it.

    >>> iso(0)
    '1970-01-01T00:00:00.000+00:00'
    """
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def narrowed(filter: Any, *conditions: tuple[str, str | None, str, Any]) -> Any:
    """``filter`` with further ``conditions``, in whichever of the two forms it has.

    A condition is a column, the key where the column is ``properties`` or ``scores``, an operator and a value.

    >>> narrowed("all", ("model", None, "equals", "m"))
    ['all', {'request_response_rmt': {'model': {'equals': 'm'}}}]
    """
    if isinstance(filter, dict) and "type" in filter:
        return {"type": "and", "expressions": [filter, *(_expression(*each) for each in conditions)]}
    return [filter, *(_leaf(*each) for each in conditions)]


def _leaf(column: str, key: str | None, operator: str, value: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {operator: value}
    return {RMT: {column: asked if key is None else {key: asked}}}


def _expression(column: str, key: str | None, operator: str, value: Any) -> dict[str, Any]:
    field: dict[str, Any] = {"table": RMT, "column": column}
    if key is not None:
        field |= {"key": key, "subtype": "property" if column == "properties" else "score"}
    return {
        "type": "condition",
        "field": field,
        "operator": {"equals": "eq"}.get(operator, operator),
        "value": value,
    }
