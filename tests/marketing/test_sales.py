"""SalesService behind its guard: who may see totals, and that watchers miss and repeat nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from acme.marketing.sales.v1 import sales_pb2 as pb
from acme.marketing.sales.v1.sales_mesh import RevisionUnknown, SalesServiceClient, WindowInvalid
from marketing.watched import Marketing, View
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from salesfeed import PLACED, event

HOUR = 3600


async def test_a_watcher_gets_everything_and_then_what_changes(marketing: Marketing) -> None:
    view = View()
    async for answer in marketing.watch():
        view.take(answer)
        if view.revision == 5:
            await marketing.feed.add(event(PLACED, ("A0", 10, 100), country="France", at=9 * HOUR))
        if view.revision == 6:
            break
    assert view.totals["sku", "A0"].items == 11
    assert view.totals["country", "Norway"].items == 15
    assert view.totals["country", "France"].revenue.units == 10
    assert view.totals["hour_time", 9 * HOUR].orders == 1


async def test_a_watcher_who_comes_back_gets_what_happened_meanwhile_once(
    marketing: Marketing,
) -> None:
    view = View()
    for round_ in range(3):
        target = await marketing.feed.add(
            *(event(PLACED, ("B9", 1, 100), at=n * HOUR) for n in range(round_ + 1))
        )
        async for answer in marketing.watch(view.revision):
            view.take(answer)
            if view.revision == target:
                break
        await marketing.feed.cut()
    assert view.totals["sku", "B9"].items == 6
    assert {key: each for (kind, key), each in view.totals.items() if kind == "sku"} == (
        await marketing.listed()
    )


async def test_booking_goes_on_where_it_ended_after_connections_break(
    marketing: Marketing,
) -> None:
    for _ in range(3):
        await marketing.feed.cut()
        await marketing.booked(await marketing.feed.add(event(PLACED, ("A0", 1, 100))))
    assert (await marketing.listed())["A0"].items == 4
    assert marketing.feed.asked[0] == 0
    assert all(after >= 5 for after in marketing.feed.asked[1:])


async def test_booking_goes_on_where_it_ended_after_a_restart(marketing: Marketing) -> None:
    await marketing.mesh.stop("sales")
    revision = await marketing.feed.add(event(PLACED, ("A0", 1, 100)))
    await marketing.mesh.start("sales")
    await marketing.booked(revision)
    assert (await marketing.listed())["A0"].items == 2


async def test_orders_that_are_away_are_waited_for(marketing: Marketing) -> None:
    await marketing.mesh.stop("orders")
    assert len(await marketing.listed()) == 5
    revision = await marketing.feed.add(event(PLACED, ("A0", 1, 100)))
    await marketing.mesh.start("orders")
    await marketing.booked(revision)


async def test_large_answers_come_in_parts_that_end_with_a_complete_one(
    marketing: Marketing,
) -> None:
    lines = [(f"C{n}", 1, 100) for n in range(1200)]
    await marketing.booked(await marketing.feed.add(event(PLACED, *lines)))
    parts: list[pb.WatchTotalsResponse] = []
    async for answer in marketing.watch():
        parts.append(answer)
        if answer.complete:
            break
    assert [each.complete for each in parts] == [False, False, True]
    assert {each.revision for each in parts} == {6}
    assert sum(len(each.totals) for each in parts) == 1 + 1205 + 5


async def test_a_slow_reader_gets_changes_together(marketing: Marketing) -> None:
    stream = aiter(marketing.watch(5))
    first = await anext(stream)
    assert (list(first.totals), first.revision, first.complete) == ([], 5, True)
    for _ in range(30):
        await marketing.feed.add(event(PLACED, ("A0", 1, 100)))
    await marketing.booked(35)
    answers = 0
    while True:
        answer = await anext(stream)
        answers += 1
        if answer.revision == 35:
            break
    assert answers < 30
    assert answer.totals[1].items == 31


@pytest.mark.parametrize(
    ("as_", "options", "code", "reason"),
    [
        ("storefront", {}, Code.PERMISSION_DENIED, "ROLE_MISSING"),
        ("dashboard-web", {"groups": []}, Code.PERMISSION_DENIED, "ROLE_MISSING"),
        ("dashboard-web", {"scopes": []}, Code.PERMISSION_DENIED, "SCOPE_MISSING"),
        ("dashboard-web", {"lifetime": -1}, Code.UNAUTHENTICATED, "TOKEN_EXPIRED"),
        (
            "dashboard-web",
            {"audience": "streaming.acme.example"},
            Code.UNAUTHENTICATED,
            "TOKEN_INVALID",
        ),
        (
            "dashboard-web",
            {"issuer": "https://issuer.meshpact.localhost"},
            Code.PERMISSION_DENIED,
            "ROLE_MISSING",
        ),
    ],
)
async def test_who_may_not_see_totals_is_told_why(
    marketing: Marketing, as_: str, options: dict[str, Any], code: Code, reason: str
) -> None:
    client = marketing.mesh.client(SalesServiceClient, as_=as_)
    token = marketing.token(**options)
    with pytest.raises(CallError) as unary:
        await client.list_totals(pb.ListTotalsRequest(dimension=pb.DIMENSION_HOUR), token=token)
    with pytest.raises(CallError) as streaming:
        watch = pb.WatchTotalsRequest(dimensions=[pb.DIMENSION_HOUR])
        await anext(aiter(client.watch_totals(watch, token=token)))
    for refused in (unary.value, streaming.value):
        assert (refused.code, refused.reason) == (code, reason)


async def test_without_an_end_user_there_are_no_totals(marketing: Marketing) -> None:
    with pytest.raises(CallError) as refused:
        await marketing.client.list_totals(pb.ListTotalsRequest(dimension=pb.DIMENSION_HOUR))
    assert refused.value.reason == "TOKEN_MISSING"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "dimension"),
        ({"dimension": 9}, "dimension"),
        ({"dimension": pb.DIMENSION_HOUR, "page_size": -1}, "page_size"),
        ({"dimension": pb.DIMENSION_HOUR, "page_token": "x"}, "page_token"),
    ],
)
async def test_faulty_fields_are_named(
    marketing: Marketing, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(CallError) as refused:
        await marketing.client.list_totals(pb.ListTotalsRequest(**fields), token=marketing.token())
    assert (refused.value.code, refused.value.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert words in str(refused.value)


@pytest.mark.parametrize(("start", "end"), [(HOUR, HOUR), (2 * HOUR, HOUR), (1, None), (None, 7)])
async def test_a_window_without_a_full_hour_is_refused(
    marketing: Marketing, start: int | None, end: int | None
) -> None:
    window = pb.Window()
    if start is not None:
        window.start_time.FromSeconds(start)
    if end is not None:
        window.end_time.FromSeconds(end)
    with pytest.raises(WindowInvalid):
        await marketing.client.list_totals(
            pb.ListTotalsRequest(dimension=pb.DIMENSION_HOUR, window=window),
            token=marketing.token(),
        )
    with pytest.raises(WindowInvalid):
        await anext(aiter(marketing.watch(window=window)))


async def test_a_revision_of_another_database_is_refused_with_the_one_there_is(
    marketing: Marketing,
) -> None:
    with pytest.raises(RevisionUnknown) as refused:
        await anext(aiter(marketing.watch(99)))
    assert (refused.value.asked, refused.value.revision) == ("99", "5")


async def test_a_page_token_of_another_analyst_is_refused(marketing: Marketing) -> None:
    request = pb.ListTotalsRequest(dimension=pb.DIMENSION_PRODUCT, page_size=2)
    page = await marketing.client.list_totals(request, token=marketing.token())
    request.page_token = page.next_page_token
    with pytest.raises(CallError) as refused:
        await marketing.client.list_totals(
            request, token=marketing.token(claims={"sub": "analyst-2"})
        )
    assert "page_token" in str(refused.value)


async def test_many_watchers_see_the_same(marketing: Marketing) -> None:
    async def watched() -> dict[tuple[str, object], pb.Total]:
        view = View()
        async for answer in marketing.watch():
            view.take(answer)
            if view.revision == 8:
                break
        return view.totals

    watchers = [asyncio.create_task(watched()) for _ in range(10)]
    await marketing.feed.add(*(event(PLACED, ("A0", 1, 100), at=n * HOUR) for n in range(3)))
    seen = await asyncio.gather(*watchers)
    assert all(each == seen[0] for each in seen)


async def test_a_watch_ends_when_its_token_does_and_goes_on_with_a_new_one(
    marketing: Marketing,
) -> None:
    view = View()
    watch = marketing.watch()
    view.take(await anext(watch))
    marketing.mesh.clock.advance(601)
    with pytest.raises(CallError) as refused:
        view.take(await anext(watch))
    assert (refused.value.code, refused.value.reason) == (Code.UNAUTHENTICATED, "TOKEN_EXPIRED")
    assert refused.value.message == "Unauthenticated: the token has expired"
    await marketing.feed.add(event(PLACED, ("A0", 7, 100)))
    again = marketing.watch(after=view.revision)
    while view.revision < 6:
        view.take(await anext(again))
    assert view.totals["sku", "A0"].items == 8
