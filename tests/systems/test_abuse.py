"""Those who send too much, hold too much open, or never read: they are refused, others go on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import httpx
import pytest
import pytest_asyncio

from acme.marketing.sales.v1 import sales_pb2 as sales
from acme.marketing.sales.v1.sales_mesh import SalesServiceClient
from company import Company
from identityworld import Browser
from reference.web.streams import PERSON, SESSION
from salesfeed import PLACED, event

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICES: Final = ("identity", "billing", "sales", "dashboard-web", "support-web")
MANY: Final = 200
LARGE: Final = 50 * 2**20
PRODUCTS: Final = 400
SILENT: Final = 10
PATIENCE: Final = 60


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def company(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Company]:
    home = tmp_path_factory.mktemp("company")
    async with Company(home, lambda name: f"sqlite:///{home / name}.db", SERVICES) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def analyst(company: Company) -> AsyncIterator[Browser]:
    async with Browser() as browser:
        await company.enter(browser, "dashboard-web", "analyst")
        yield browser


def cookies(browser: Browser) -> dict[str, str]:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}


async def test_a_page_that_opens_many_live_connections_has_a_few_and_is_told_why(
    company: Company, analyst: Browser
) -> None:
    origin = company.origins["dashboard-web"]
    headers = {**cookies(analyst), "accept": "text/event-stream"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=origin, timeout=PATIENCE, limits=limits) as client:
        opened = [client.build_request("GET", "/totals", headers=headers) for _ in range(MANY)]
        answers = await asyncio.gather(*(client.send(each, stream=True) for each in opened))
        assert Counter(each.status_code for each in answers) == {200: SESSION, 429: MANY - SESSION}
        refused = next(each for each in answers if each.status_code == 429)
        await refused.aread()
        assert refused.json()["error"]["details"][0]["reason"] == "TOO_MANY_STREAMS"
        assert refused.headers["retry-after"]
        assert (await analyst.get(f"{origin}/")).status_code == 200
        for each in answers:
            await each.aclose()
        async with asyncio.timeout(PATIENCE):
            while (await client.get("/totals/room", headers=headers)).status_code != 204:
                pass


async def test_a_person_with_many_browsers_has_a_few_live_connections_and_others_have_theirs(
    company: Company,
) -> None:
    origin = company.origins["dashboard-web"]
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=origin, timeout=PATIENCE)
        )
        found = Counter[int]()
        for _ in range(PERSON // SESSION + 1):
            browser = await stack.enter_async_context(Browser())
            await company.enter(browser, "dashboard-web", "analyst")
            headers = {**cookies(browser), "accept": "text/event-stream"}
            for _ in range(SESSION):
                asked = client.stream("GET", "/totals", headers=headers)
                found[(await stack.enter_async_context(asked)).status_code] += 1
        assert found == {200: PERSON, 429: SESSION}


@pytest.mark.parametrize(
    ("site", "path"),
    [
        ("identity", "/login"),
        ("identity", "/signup"),
        ("identity", "/token"),
        ("dashboard-web", "/logout"),
        ("support-web", "/invoices/00000000-0000-4000-8000-000000000000/refund"),
    ],
)
@pytest.mark.parametrize("announced", [True, False])
async def test_a_form_of_fifty_megabytes_is_refused_long_before_it_ends(
    company: Company, analyst: Browser, site: str, path: str, announced: bool
) -> None:
    origin = company.origins.get(site, company.issuer)
    part, sent = b"x" * 2**16, 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < LARGE:
            sent += len(part)
            yield part

    headers = {
        **cookies(analyst),
        "origin": origin,
        "content-type": "application/x-www-form-urlencoded",
        **({"content-length": str(LARGE)} if announced else {}),
    }
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        try:
            answer = await client.post(f"{origin}{path}", headers=headers, content=body())
        except httpx.TransportError:
            pass  # the connection was closed under it
        else:
            assert answer.status_code in (303, 401, 413), answer.text
            assert "Traceback" not in answer.text
    assert sent < LARGE // 4
    assert (await analyst.get(f"{company.issuer}/login")).status_code in (200, 303)


async def test_subscribers_of_totals_that_never_read_hold_nobody_up_and_miss_nothing(
    company: Company, analyst: Browser
) -> None:
    token = await company.token(analyst, "dashboard-web", "sales.read")
    client = company.mesh.client(SalesServiceClient, as_="dashboard-web")
    request = sales.WatchTotalsRequest(dimensions=[sales.DIMENSION_PRODUCT])
    silent = [client.watch_totals(request, token=token) for _ in range(SILENT)]
    for each in silent:
        await anext(each)
    now, lines = int(time.time()), [(f"S{number}", 1, 100) for number in range(PRODUCTS)]
    revision = 0
    for _ in range(20):
        revision = await company.feed.add(event(PLACED, *lines, at=now))
    async with asyncio.timeout(PATIENCE):
        for each in (client.watch_totals(request, token=token), *silent):
            messages, seen, orders = 0, 0, dict[str, int]()
            while seen < revision:
                answer = await anext(each)
                messages += 1
                orders |= {total.sku: total.orders for total in answer.totals}
                seen = answer.revision if answer.complete else seen
            assert orders == {sku: 20 for sku, _, _ in lines}
            assert messages <= 20
