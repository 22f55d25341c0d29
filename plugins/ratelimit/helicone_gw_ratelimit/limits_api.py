"""``GET /v1/ratelimit``: the limits in force, as the caller may see them: ``{"data": [...], "error": null}``.

Limits without a name are there under the one that is made of them, which counters and clients know them by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct, to_builtins
from quart import Blueprint, request

from helicone_gw import ApiOperation, GatewayKey, caller
from helicone_gw_ratelimit.config import RatelimitConfig
from helicone_gw_ratelimit.inforce import limit_name
from helicone_gw_ratelimit.of_keys import NAME
from helicone_gw_ratelimit.policy import Algorithm, Unit, parse_policy

if TYPE_CHECKING:
    from helicone_gw_ratelimit.plugin import RatelimitPlugin

_WHOM: Final = ("keys", "users", "models", "routes", "properties")
_NAMING: Final = frozenset({"keys", "users", "properties"})
"""Of these, patterns may name what is another organization's."""


class LimitInForce(Struct, frozen=True, kw_only=True):
    """A limit: so much (``quota`` of ``unit``) in ``window`` seconds, or so many requests under way at once.

    ``source`` says whose it is: the configuration's, or the gateway key's that asks. ``whom`` is whom it is for:
    patterns by kind, nothing where it is for all. ``admitted`` and ``refused`` count since the start of this process;
    null where the caller may not know.
    """

    name: str
    source: Literal["configuration", "key"]
    kind: Literal["policy", "concurrency"]
    policy: str | None = None
    quota: str
    unit: Unit
    window: int | None = None
    segment: str
    algorithm: Algorithm | None = None
    whom: Mapping[str, Any] = {}
    waits: bool = False
    admitted: int | None = None
    refused: int | None = None


OPERATION: Final = ApiOperation(
    method="GET",
    path="/v1/ratelimit",
    tag="limits",
    summary="The limits in force: the configuration's that concern the caller, and those of its own key.",
    data=list[LimitInForce],
)


def add_to(pages: Blueprint, instances: Callable[[], Sequence[RatelimitPlugin]]) -> None:
    """Serve it on ``pages``, for all ``instances`` of the plugin."""

    @pages.get("/v1/ratelimit")
    async def limits() -> dict[str, Any]:
        key = caller(request.scope)
        every = instances()
        found = [one for each in every for one in in_force(each.config, each.counters, key)]
        if key is not None and every:
            found += of_key(every[0].config, key)
        return {"data": to_builtins(found), "error": None}


def in_force(
    config: RatelimitConfig, counters: Mapping[tuple[str, str], int], key: GatewayKey | None
) -> Iterator[LimitInForce]:
    """The limits of a configuration that ``key`` may know of, with what was decided where it may know that."""
    # What concerns other organizations is for those who run the gateway.
    operates = key is None or key.organization == "default"
    for limit in config.limits:
        whom = {word: value for word, value in limit.model_dump(mode="json").items() if word in _WHOM and value}
        if not operates and _NAMING & whom.keys():
            continue
        name = limit_name(limit)
        decided: dict[str, Any] = {
            what: counters.get((what, name), 0) if operates else None for what in ("admitted", "refused")
        }
        if limit.concurrency is not None:
            yield LimitInForce(
                name=name,
                source="configuration",
                kind="concurrency",
                quota=str(limit.concurrency),
                unit="request",
                segment=limit.segment,
                whom=whom,
                waits=limit.queue is not None,
                **decided,
            )
        else:
            text = config.policies.get(limit.policy or "", limit.policy or "")
            yield _policy(
                text,
                name=name,
                source="configuration",
                algorithm=limit.algorithm or config.algorithm,
                whom=whom,
                waits=limit.queue is not None,
                **decided,
            )


def of_key(config: RatelimitConfig, key: GatewayKey) -> Iterator[LimitInForce]:
    """The limits that ``key`` brings along; one that cannot be read admits nobody, and is not told of."""
    for text in key.limits:
        try:
            yield _policy(text, name=NAME, source="key", algorithm=config.algorithm)
        except ValueError:
            continue


def _policy(text: str, **told: Any) -> LimitInForce:
    policy = parse_policy(text)
    return LimitInForce(
        kind="policy",
        policy=policy.text,
        quota=policy.limit,
        unit=policy.unit,
        window=policy.window,
        segment=policy.segment,
        **told,
    )
