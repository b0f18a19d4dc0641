"""Requests that come twice: the work is done once, the answer is the same, whatever happens."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, event, func, insert, select
from sqlalchemy.util import await_only

from acme.retail.inventory.v1 import inventory_pb2 as pb
from databases import NewUrl
from meshpact.interceptors.call import Call
from meshpact.interceptors.errors import StatusError
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.idempotency import Idempotency, idempotency_columns
from toolkit.calls import call, faults

metadata = MetaData()
answers = Table("answers", metadata, *idempotency_columns())
bookings = Table("bookings", metadata, Column("booked", Integer, nullable=False))
ID = str(uuid.UUID(int=7))


class Reused(Exception):
    """The contract's error."""


class Broken(Exception):
    """The work failed."""


class Bookings:
    """A service that books items; `now` is the time it goes by."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = 1_000_000.0
        self.idempotency = Idempotency(answers, Reused, keep=60, clock=lambda: self.now)

    async def book(
        self,
        items: int,
        name: str = ID,
        caller: Call | None = None,
        fail: bool = False,
    ) -> pb.ReturnStockResponse:
        request = pb.ReturnStockRequest(
            request_id=name, lines=[pb.StockLine(sku="A", quantity=items)]
        )

        def work(connection: Connection) -> pb.ReturnStockResponse:
            def make() -> pb.ReturnStockResponse:
                connection.execute(insert(bookings), {"booked": items})
                if fail:
                    raise Broken
                total = connection.execute(select(func.sum(bookings.c.booked))).scalar_one()
                return pb.ReturnStockResponse(items=total)

            return self.idempotency.remember(
                connection, caller or call("ReturnStock"), request, make
            )

        return await self.database.write(work)

    async def count(self, table: Table = bookings) -> int:
        counted = select(func.count()).select_from(table)
        return int(await self.database.read(lambda opened: opened.execute(counted).scalar_one()))


@pytest.fixture
async def service(database: Database) -> Bookings:
    await database.migrate(metadata.create_all)
    return Bookings(database)


async def test_a_repetition_gets_the_same_answer_and_does_nothing(service: Bookings) -> None:
    first = await service.book(5)
    await service.book(3, str(uuid.UUID(int=8)))
    assert await service.book(5) == first == pb.ReturnStockResponse(items=5)
    assert type(await service.book(5)) is pb.ReturnStockResponse
    assert await service.book(5, ID.upper()) == first
    assert await service.count() == 2


async def test_the_same_id_with_other_content_is_refused(service: Bookings) -> None:
    await service.book(5)
    with pytest.raises(Reused, match=ID):
        await service.book(6)
    assert await service.count() == 1


async def test_another_caller_or_method_may_use_the_same_id(service: Bookings) -> None:
    for caller in (
        call("ReturnStock"),
        call("ReturnStock", workload="spiffe://shop.example/other"),
        call("ReturnStock", subject="anna"),
        call("ReserveStock"),
    ):
        await service.book(5, caller=caller)
    assert await service.count() == 4


async def test_of_many_at_once_one_does_the_work(service: Bookings) -> None:
    found = await asyncio.gather(*(service.book(5) for _ in range(20)))
    assert found == [pb.ReturnStockResponse(items=5)] * 20
    assert await service.count() == 1


async def test_of_many_in_several_processes_one_does_the_work(
    service: Bookings, opened: Callable[[str], Awaitable[Database]]
) -> None:
    others = [
        Bookings(await opened(service.database.url.render_as_string(hide_password=False)))
        for _ in range(3)
    ]
    found = await asyncio.gather(*(each.book(5) for each in [service, *others] * 4))
    assert found == [pb.ReturnStockResponse(items=5)] * 16
    assert await service.count() == 1


async def test_a_failure_is_not_kept(service: Bookings) -> None:
    with pytest.raises(Broken):
        await service.book(5, fail=True)
    assert await service.count() == 0
    assert await service.book(5) == pb.ReturnStockResponse(items=5)


async def test_a_request_without_an_id_is_always_new(service: Bookings) -> None:
    await service.book(5, "")
    await service.book(5, "")
    assert await service.count() == 2
    assert await service.count(answers) == 0


async def test_an_id_that_is_too_long_is_refused(service: Bookings) -> None:
    with pytest.raises(StatusError) as caught:
        await service.book(5, "x" * 65)
    assert faults(caught.value) == [("request_id", "STRING_MAX_LEN")]


async def test_answers_expire_and_are_taken_away(
    service: Bookings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshpact.servers.storage.idempotency.PRUNE_EVERY", 0)
    for number in range(5):
        await service.book(1, str(uuid.UUID(int=number)))
    assert await service.count(answers) == 5
    service.now += 59
    await service.book(1, str(uuid.UUID(int=0)))
    assert await service.count() == 5
    service.now += 1
    await service.book(1, str(uuid.UUID(int=0)))
    assert await service.count() == 6
    assert await service.count(answers) == 1


async def test_an_answer_that_is_new_is_not_taken_away_with_the_old_one(
    postgres: NewUrl, opened: Callable[[str], Awaitable[Database]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshpact.servers.storage.idempotency.PRUNE_EVERY", 0)
    url = postgres()
    service, other = Bookings(await opened(url)), Bookings(await opened(url))
    await service.database.migrate(metadata.create_all)
    await service.book(1)
    service.now += 60
    other.now = service.now
    others = str(uuid.UUID(int=8))
    found: list[object] = []

    def prunes(connection: Connection, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith("DELETE") and not found:
            found.append(await_only(other.book(1)))

    def work(connection: Connection) -> pb.ReturnStockResponse:
        event.listen(connection.engine, "before_cursor_execute", prunes)
        request = pb.ReturnStockRequest(request_id=others)
        return service.idempotency.remember(
            connection, call("ReturnStock"), request, pb.ReturnStockResponse
        )

    await service.database.write(work)
    assert await other.book(1) in found
    assert await service.count() == 2


async def test_an_id_that_no_database_can_hold_is_refused(service: Bookings) -> None:
    with pytest.raises(StatusError) as caught:
        await service.book(5, "a\0b")
    assert faults(caught.value) == [("request_id", "STRING_CONTROL_CHARACTERS")]
