"""A browser gets the frame of a page ahead of what fills it; everybody else gets pages whole, with their own status."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from quart import Response

from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_dashboard import framing
from helicone_gw_dashboard import site as site_module
from helicone_gw_dashboard.assets import STYLES, Assets
from helicone_gw_dashboard.config import DashboardConfig
from helicone_gw_dashboard.framing import MAIN, framed, navigates
from helicone_gw_dashboard.rendering import Html, Renderer
from helicone_gw_dashboard.site import Site
from helicone_gw_dashboard.view import View
from tests.plugins.dashboard.markup import problems

pytestmark = pytest.mark.asyncio(loop_scope="module")

BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
KNOWN = {"Cookie": f"dashboard_styles={Assets()[STYLES].tag}"}
PATHS = ("/", "/dashboard/requests", "/dashboard/models", "/dashboard/plugins", "/dashboard/welcome")
MOMENTS = re.compile(r"\b\d{13}\b")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    factory = GatewayFactory(tmp_path_factory.mktemp("framed"))
    async with factory(["logging", "cost", "dashboard"], config={"providers": {"demo": {}}}) as gateway:
        yield gateway


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page comes soon enough."""

    async def comes(answering: asyncio.Future[Response]) -> bool:
        await asyncio.sleep(0)
        return False

    monkeypatch.setattr(framing, "comes", comes)


async def body(answer: Response) -> bytes:
    async with answer.response as pieces:
        return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_that_came_in_two_pieces_is_the_page(running: RunningGateway, impatient: None, path: str) -> None:
    whole = await running.request("GET", path, headers={"Accept": "text/html"})
    pieces = await running.request("GET", path, headers={**BROWSER, **KNOWN, "Accept-Encoding": "gzip"})
    assert pieces.status == 200
    assert pieces.headers.get("cache-control", "") == "no-store"
    assert "default-src 'none'" in (pieces.headers.get("content-security-policy") or "")
    page, expected = (MOMENTS.sub("", each.decode()) for each in (gzip.decompress(pieces.body), whole.body))
    assert page.partition("<main")[0] == expected.partition("<main")[0] or path == "/"
    assert page.endswith(expected.partition(MAIN)[2])
    assert problems(page) == []


async def test_what_is_wrong_with_an_address_is_known_soon_enough(running: RunningGateway) -> None:
    for path, status in (("/dashboard/requests?range=2h", 400), ("/dashboard/of/nobody/nothing", 404)):
        assert (await running.request("GET", path, headers=BROWSER)).status == status


async def test_what_is_found_wrong_later_stands_in_the_frame(running: RunningGateway, impatient: None) -> None:
    answer = await running.request("GET", "/dashboard/requests?range=2h", headers=BROWSER)
    assert answer.status == 200
    page = answer.body.decode()
    assert "The range in the address is none of" in page
    assert page.count("</html>") == 1


async def test_who_is_to_go_elsewhere_is_sent_from_within_the_frame(running: RunningGateway, impatient: None) -> None:
    page = (await running.request("GET", "/dashboard/requests/search?words=ann", headers=BROWSER)).body.decode()
    assert '<meta http-equiv="refresh" content="0;url=/dashboard/requests?' in page
    assert page.count("</html>") == 1


async def test_only_what_a_browser_goes_to_comes_in_pieces() -> None:
    from werkzeug.datastructures import Headers

    assert navigates("GET", Headers({"Sec-Fetch-Mode": "navigate"}))
    assert navigates("GET", Headers({"Upgrade-Insecure-Requests": "1"}))
    assert not navigates("HEAD", Headers({"Sec-Fetch-Mode": "navigate"}))
    assert not navigates("POST", Headers({"Sec-Fetch-Mode": "navigate"}))
    assert not navigates("GET", Headers({"Sec-Fetch-Mode": "cors"}))


class Shown(View):
    """A view without a request."""

    def __init__(self) -> None:
        self.title = "Title"

    def html(self, template: str, /, **values: Any) -> str:
        return "frame <!-- rest --> foot"

    def page(self, html: str, status: int = 200) -> Html:
        return Html(html, status)


async def test_the_frame_can_be_read_before_the_rest_is_known(impatient: None) -> None:
    known: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    async def page() -> Response:
        return await known

    for zipped in (False, True):
        known = asyncio.get_running_loop().create_future()
        answer = await framed(Shown(), page(), zipped=zipped)
        unpack: Callable[[bytes], bytes] = zlib.decompressobj(31).decompress if zipped else bytes
        async with answer.response as pieces:
            each = aiter(pieces)
            assert unpack(await anext(each)) == b"frame "
            known.set_result(Html(f"head{MAIN}all of it"))
            assert unpack(await anext(each)) == b"all of it"
            with pytest.raises(StopAsyncIteration):
                await anext(each)


async def test_nobody_goes_on_asking_for_somebody_who_left(impatient: None) -> None:
    left = asyncio.Event()

    async def page() -> Response:
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError("nothing came")

    answer = await framed(Shown(), page(), zipped=False)
    async with answer.response as pieces:
        assert await anext(aiter(pieces)) == b"frame "
    await asyncio.wait_for(left.wait(), 5)


async def test_nobody_goes_on_asking_for_somebody_who_left_before_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "PATIENCE", 60.0)
    begun, left = asyncio.Event(), asyncio.Event()

    async def page() -> Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError("nothing came")

    asked = asyncio.ensure_future(framed(Shown(), page(), zipped=False))
    await begun.wait()
    asked.cancel()
    await asyncio.wait_for(left.wait(), 5)


async def test_what_visitors_need_is_made_ready_before_one_comes_and_the_rest_when_one_does(
    running: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_module, "BETWEEN", 0.0)
    site = Site(running.gateway, DashboardConfig())
    compiled: list[str] = []
    monkeypatch.setattr(site.renderer, "compile", compiled.append)
    warming = asyncio.create_task(site.warm())
    while "zipped" not in vars(site.assets["charts.js"]):
        await asyncio.sleep(0.01)
    assert compiled == [name for name in site_module.FIRST if name.endswith(".html")]
    site.visited.set()
    await warming
    assert len(set(compiled)) == len(site.renderer.templates) > 50
    assert all("zipped" in vars(site.assets[name]) for name in site.assets.names)


async def test_every_template_can_be_compiled() -> None:
    renderer = Renderer()
    for template in renderer.templates:
        renderer.compile(template)
