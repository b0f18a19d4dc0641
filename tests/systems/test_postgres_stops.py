"""Postgres is stopped, cut off and locked under running support and marketing: all is told clearly,
money moves once, totals stay exact, nobody restarts anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from acme.marketing.sales.v1 import sales_pb2 as sales
from acme.marketing.sales.v1.sales_mesh import SalesServiceClient
from acme.support.billing.v1 import billing_pb2 as billing
from acme.support.billing.v1.billing_mesh import BillingServiceClient, InvoiceUnknown
from company import Company
from databases import postgres_server
from identityworld import Browser
from marketing.exactness import sql_totals
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code, StatusError
from outages import INSIDE, answered, cut, start, stop_at_once
from reference.money import minor_units, money
from salesfeed import PLACED, event

pytestmark = pytest.mark.asyncio(loop_scope="module")

T = TypeVar("T")
SERVICES: Final = ("identity", "billing", "sales", "dashboard-web", "support-web")
DESK: Final = ("billing.read", "billing.refund", "billing.approve")
INVOICES: Final = 12
AWAY_PAGE: Final = "This does not answer at the moment. Try again in a few seconds."


class Staff:
    """The company on a Postgres that can be stopped, and who is at work in it."""

    def __init__(self, server: Any, company: Company, people: dict[str, Browser]) -> None:
        self.server = server
        self.company = company
        self.people = people
        self.tokens: dict[str, str] = {}
        self.told: list[str] = []
        """Reasons that callers were refused with."""
        self.away = asyncio.Event()
        """One of them was that the database is away."""
        self.billing = company.mesh.client(BillingServiceClient, as_="support-web")
        self.sales = company.mesh.client(SalesServiceClient, as_="dashboard-web")

    @contextlib.asynccontextmanager
    async def stopped(self) -> AsyncGenerator[None]:
        """Postgres is stopped at once, and started again in the end."""
        await asyncio.to_thread(stop_at_once, self.server)
        try:
            yield
        finally:
            await asyncio.to_thread(start, self.server)

    async def invoices(self, number: int = INVOICES) -> list[str]:
        """New invoices of 100 pounds that billing has, once it answers."""
        names = [str(uuid.uuid4()) for _ in range(number)]
        await self.company.feed.add(
            *(event(PLACED, ("22423", 1, 100_00), order_id=name, at=now()) for name in names)
        )
        for name in names:
            await self.known(name)
        return names

    async def known(self, invoice_id: str) -> billing.GetInvoiceResponse:
        """An invoice, as soon as billing has it."""
        request = billing.GetInvoiceRequest(invoice_id=invoice_id)
        while True:
            with contextlib.suppress(InvoiceUnknown):  # not billed yet
                return await self.asked(
                    lambda: self.billing.get_invoice(request, token=self.tokens["supervisor"])
                )
            await asyncio.sleep(0.02)

    async def refund(self, invoice_id: str, pence: int, request_id: str = "") -> billing.Refund:
        """A refund by the agent, asked for under one name until there is an answer."""
        request = billing.CreateRefundRequest(
            request_id=request_id or str(uuid.uuid4()),
            invoice_id=invoice_id,
            amount=money(pence),
            reason="broken on arrival",
        )
        answer = await self.asked(
            lambda: self.billing.create_refund(request, token=self.tokens["agent"])
        )
        return answer.refund

    async def approve(self, refund: billing.Refund) -> billing.Refund:
        """The supervisor lets a refund pass."""
        request = billing.ApproveRefundRequest(
            request_id=str(uuid.uuid4()), refund_id=refund.refund_id
        )
        answer = await self.asked(
            lambda: self.billing.approve_refund(request, token=self.tokens["supervisor"])
        )
        return answer.refund

    async def asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What a call answers in the end."""
        return await answered(ask, self.tell)

    def tell(self, reason: str) -> None:
        """A caller was refused."""
        self.told.append(reason)
        if reason == "STORAGE_UNAVAILABLE":
            self.away.set()

    async def watched(self, revision: int) -> dict[tuple[str, str], int]:
        """Orders by country and product, put together by a watch that is begun again where it
        ended, up to a revision."""
        found: dict[tuple[str, str], int] = {}
        seen = 0
        while seen < revision:
            request = sales.WatchTotalsRequest(
                dimensions=[sales.DIMENSION_COUNTRY, sales.DIMENSION_PRODUCT], after_revision=seen
            )
            stream = self.sales.watch_totals(request, token=self.tokens["analyst"])
            while seen < revision:
                try:
                    answer = await anext(stream)
                except (CallError, StatusError) as error:
                    assert error.code is Code.UNAVAILABLE, error
                    self.tell(error.reason)
                    await asyncio.sleep(0.02)
                    break
                for each in answer.totals:
                    kind = str(each.WhichOneof("of"))
                    found[kind, str(getattr(each, kind))] = each.orders
                seen = answer.revision if answer.complete else seen
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def staff(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Staff]:
    with postgres_server() as server:
        # What is committed must outlive the end of the server.
        server.psql("ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();")
        url = str(server.get_uri())
        home = tmp_path_factory.mktemp("company")
        async with contextlib.AsyncExitStack() as stack:
            company = await stack.enter_async_context(Company(home, lambda _: url, SERVICES))
            people: dict[str, Browser] = {}
            made = Staff(server, company, people)
            for name, site, scopes in (
                ("agent", "support-web", DESK[:2]),
                ("supervisor", "support-web", DESK),
                ("analyst", "dashboard-web", ("sales.read",)),
            ):
                people[name] = await stack.enter_async_context(Browser())
                await company.enter(people[name], site, name)
                made.tokens[name] = await company.token(people[name], site, *scopes)
            yield made


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def rested(staff: Staff) -> None:
    """Nobody has used up what they may call in a second."""
    staff.company.mesh.clock.advance(5)


async def test_a_server_that_stops_under_refunds_approvals_and_watches_loses_and_doubles_nothing(
    staff: Staff,
) -> None:
    first, second, *invoices = await staff.invoices()
    waiting = [await staff.refund(each, 60_00) for each in (first, second)]
    moved = asyncio.Event()

    async def give(invoice_id: str) -> list[billing.Refund]:
        given = [await staff.refund(invoice_id, 10_00)]
        moved.set()
        return [*given, *[await staff.refund(invoice_id, 10_00) for _ in range(2)]]

    revision = len(staff.company.feed.events)
    watching = asyncio.create_task(staff.watched(revision + 3))
    giving = [asyncio.create_task(give(each)) for each in invoices]
    deciding = [asyncio.create_task(staff.approve(each)) for each in waiting]
    await moved.wait()
    async with staff.stopped():
        await staff.company.feed.add(
            *(event(PLACED, (f"A{n}", 1, 100), at=now()) for n in range(3))
        )
        await staff.away.wait()
    given = await asyncio.gather(*giving)
    await asyncio.gather(*deciding)
    for each, made in zip(invoices, given, strict=True):
        found = await staff.known(each)
        assert sorted(refund.refund_id for refund in found.refunds) == sorted(
            refund.refund_id for refund in made
        )
        assert {refund.state for refund in found.refunds} == {billing.REFUND_STATE_ISSUED}
        assert minor_units(found.invoice.refunded) == 30_00
    for each in (first, second):
        assert minor_units((await staff.known(each)).invoice.refunded) == 60_00
    totals = await watching
    truth = await sql_totals(str(staff.server.get_uri()))
    assert totals == {
        (kind, str(name)): sums[0] for (kind, name), sums in truth.items() if kind != "hour_time"
    }
    assert totals["sku", "A2"] == 1


async def test_connections_that_are_cut_one_by_one_are_noticed_by_nobody(staff: Staff) -> None:
    invoice, *others = await staff.invoices(6)
    staff.told.clear()
    url = str(staff.server.get_uri())
    for each in others:
        await cut(url)
        await asyncio.gather(staff.refund(each, 1_00), staff.refund(invoice, 1_00))
    assert [each for each in staff.told if each] == []
    assert minor_units((await staff.known(invoice)).invoice.refunded) == 5_00


async def test_a_table_that_another_program_locks_holds_up_its_service_alone(
    staff: Staff,
) -> None:
    (invoice,) = await staff.invoices(1)
    name = str(uuid.uuid4())
    request = billing.CreateRefundRequest(
        request_id=name, invoice_id=invoice, amount=money(5_00), reason="broken on arrival"
    )
    async with locked(str(staff.server.get_uri()), "billing.invoices"):
        late = [
            staff.billing.create_refund(request, token=staff.tokens["agent"], timeout=0.3)
            for _ in range(10)
        ]
        for end in await asyncio.gather(*late, return_exceptions=True):
            assert isinstance(end, CallError)
            assert end.code is Code.DEADLINE_EXCEEDED
            assert not INSIDE.search(end.message), end.message
        totals = sales.ListTotalsRequest(dimension=sales.DIMENSION_COUNTRY)
        assert (await staff.sales.list_totals(totals, token=staff.tokens["analyst"])).totals
    assert (await staff.refund(invoice, 5_00, name)).state == billing.REFUND_STATE_ISSUED
    found = await staff.known(invoice)
    assert (len(found.refunds), minor_units(found.invoice.refunded)) == (1, 5_00)


async def test_people_are_told_on_each_page_and_go_on_where_they_were(staff: Staff) -> None:
    (invoice,) = await staff.invoices(1)
    company, agent, analyst = staff.company, staff.people["agent"], staff.people["analyst"]
    portal, dashboard = company.origins["support-web"], company.origins["dashboard-web"]
    page = await agent.open(f"{portal}/invoices/{invoice}")
    shown = await agent.post(
        f"{portal}/invoices/{invoice}/refund",
        data={"csrf": csrf(page), "amount": "7.00", "reason": "torn"},
    )
    assert "Give £7.00 back?" in shown.text
    sent = fields(shown)
    async with live(analyst, dashboard) as events:
        while (await anext(events))[0] != "totals":
            pass
        async with staff.stopped():
            confirm = f"{portal}/invoices/{invoice}/refund/confirm"
            for _ in range(2):
                unsure = await agent.post(confirm, data=sent)
                assert unsure.status_code == 503
                assert "Whether £7.00 is given back" in unsure.text
                assert fields(unsure)["request_id"] == sent["request_id"]
            for browser, where in (
                (agent, f"{portal}/customers/17850"),
                (agent, f"{portal}/queue"),
                (analyst, f"{dashboard}/"),
                (agent, f"{company.issuer}/"),
            ):
                answer = await browser.get(where)
                assert (answer.status_code, where) == (503, where)
                assert AWAY_PAGE in answer.text, where
                assert answer.headers["retry-after"]
                assert not INSIDE.search(re.sub("<[^>]*>", " ", answer.text)), where
            while (await anext(events))[0] != "waiting":
                pass
        revision = await company.feed.add(event(PLACED, ("LATE", 1, 100), at=now()))
        name, data = await anext(events)
        while name != "totals" or int(data["revision"]) < revision:
            assert name in ("totals", "waiting"), (name, data)
            name, data = await anext(events)
    async with asyncio.timeout(60):
        while (done := await agent.post(confirm, data=sent)).status_code == 503:
            pass
    assert done.status_code == 303
    found = await staff.known(invoice)
    assert (len(found.refunds), minor_units(found.invoice.refunded)) == (1, 7_00)
    for browser, where in ((agent, f"{portal}/queue"), (analyst, f"{dashboard}/")):
        assert (await browser.get(where)).status_code == 200


@contextlib.asynccontextmanager
async def locked(url: str, table: str) -> AsyncGenerator[None]:
    """Another program holds a table."""
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"), poolclass=NullPool
    )
    async with engine.connect() as connection:
        await connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        yield
    await engine.dispose()


def now() -> int:
    """When orders happen here: what is old is forgotten in the end."""
    return int(time.time())


def csrf(page: httpx.Response) -> str:
    """What a form of the page has to bring along."""
    return str(re.findall(r'name="csrf" value="([^"]*)"', page.text)[0])


def fields(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of the page's last form."""
    form = page.text[page.text.rindex("<form") :]
    return dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form))


@contextlib.asynccontextmanager
async def live(
    browser: Browser, origin: str
) -> AsyncGenerator[AsyncGenerator[tuple[str, dict[str, Any]]]]:
    """The events of a live page, as its browser gets them: name and data."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"cookie": cookies, "accept": "text/event-stream"}
    asking = browser.http.stream("GET", f"{origin}/totals", headers=headers, timeout=None)
    async with asking as answer:
        assert answer.status_code == 200

        async def events() -> AsyncGenerator[tuple[str, dict[str, Any]]]:
            name = ""
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield name, json.loads(line.removeprefix("data: "))

        async with contextlib.aclosing(events()) as found:
            yield found
