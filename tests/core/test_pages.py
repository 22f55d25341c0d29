"""The gateway's own pages, asked from inside on somebody's behalf: the same routes, no key, no way to a provider."""

from __future__ import annotations

import pytest
from quart import Blueprint, Response, request

from helicone_gw import DashboardCard, DashboardPage, Gateway, GatewayKey, PanelQuery, Plugin, Shown, caller, hookimpl
from helicone_gw.pages import Pages
from helicone_gw.testing import GatewayFactory

ANN = GatewayKey("1", "reader", "ann", organization="one", role="viewer")


class Echoing(Plugin):
    """Says what it was asked, and for whom."""

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint:
        routes = Blueprint("echoing", __name__)

        @routes.post("/echo")
        async def echo() -> dict[str, object]:
            key = caller(request.scope)
            sent = await request.get_json()
            return {"owner": key and key.owner, "sent": sent, "page": request.args.get("page")}

        @routes.get("/cookies")
        async def cookies() -> Response:
            answer = Response(request.headers.get("Cookie", "none"))
            answer.set_cookie("theirs", "of the first who asked")
            return answer

        return routes


class Doorman(Plugin):
    """A source of keys, so that nobody comes in without one."""

    configured = True

    async def lookup(self, secret: str) -> GatewayKey | None:
        return None

    async def knows(self, secret: str) -> bool:
        return False

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        gateway.keys.register(self)


CLASSES: dict[str, type[Plugin]] = {"echoing": Echoing, "doorman": Doorman}


async def test_a_page_is_answered_as_the_caller_sees_it(gateway: GatewayFactory) -> None:
    async with gateway(["echoing", "doorman"], classes=CLASSES) as running:
        pages = running.gateway.pages
        answer = await pages.ask("POST", "/echo", caller=ANN, params={"page": "2"}, json={"a": 1})
        assert answer.json() == {"owner": "ann", "sent": {"a": 1}, "page": "2"}
        everybody = await pages.ask("POST", "/echo", caller=None, json=[1])
        assert everybody.json() == {"owner": None, "sent": [1], "page": None}
        assert (await running.request("POST", "/echo", json={})).status == 401, "who comes from outside needs a key"
        assert (await pages.ask("GET", "/readyz", caller=ANN)).json()["status"] == "ready"


async def test_what_one_caller_is_given_to_keep_no_other_brings_along(gateway: GatewayFactory) -> None:
    async with gateway(["echoing"], classes=CLASSES) as running:
        for _ in range(2):
            assert (await running.gateway.pages.ask("GET", "/cookies", caller=None)).text == "none"


async def test_no_provider_is_reached_that_way(gateway: GatewayFactory) -> None:
    async with gateway(["echoing"], classes=CLASSES) as running:
        for path in ("/v1/chat/completions", "/openai/v1/models", "/nothing"):
            assert (await running.gateway.pages.ask("POST", path, caller=ANN, json={})).status_code == 404
        assert running.provider.requests == []


async def test_without_an_application_there_are_no_pages() -> None:
    with pytest.raises(RuntimeError, match="no pages"):
        await Pages().ask("GET", "/", caller=None)


async def _nothing(query: PanelQuery) -> list[Shown]:
    return []


def test_what_is_offered_is_kept_in_its_order_and_once_under_a_name() -> None:
    pages = Pages()
    first = DashboardPage("report", "Report", _nothing)
    card = DashboardCard("report", "Report", _nothing)
    again = DashboardPage("report", "Another report", _nothing)
    pages.offer("one", first)
    pages.offer("one", card)
    pages.offer("two", first)
    pages.offer("one", again)
    assert pages.offered == [("one", again), ("one", card), ("two", first)]


@pytest.mark.parametrize("name", ["", "Report", "a/b", "a b", "-a", "../a", "a\n"])
def test_a_name_that_cannot_stand_in_an_address_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name for a page"):
        Pages().offer("one", DashboardPage(name, "Report", _nothing))
