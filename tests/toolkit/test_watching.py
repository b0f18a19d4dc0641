"""Watches: readers of any speed get the newest values, and never more than may wait for them."""

from __future__ import annotations

import asyncio
import contextlib
import operator
from collections.abc import AsyncIterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshpact.interceptors.errors import Code
from meshpact.servers.watching import Watches, WatchOverrun, coalesced


async def test_a_reader_gets_what_changed_since_it_last_looked() -> None:
    watches = Watches[str, int]()
    with watches.watch() as watch:
        watches.publish({"a": 1})
        watches.publish({"a": 2, "b": 1})
        assert await watch.next() == {"a": 2, "b": 1}
        waiting = asyncio.create_task(watch.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        watches.publish({"c": 5})
        assert await waiting == {"c": 5}


async def test_a_reader_of_some_keys_gets_only_those() -> None:
    watches = Watches[str, int]()
    with watches.watch(["a"]) as watch:
        watches.publish({"b": 1})
        watches.publish({"a": 1, "b": 2})
        assert await watch.next() == {"a": 1}


async def test_readers_do_not_hinder_each_other_and_leave_nothing_behind() -> None:
    watches = Watches[str, int](pending=2)
    with watches.watch() as slow, watches.watch() as quick:
        assert len(watches) == 2
        for number in range(3):
            watches.publish({str(number): number})
            assert await quick.next() == {str(number): number}
        with pytest.raises(WatchOverrun):
            await slow.next()
    assert len(watches) == 0
    watches.publish({"a": 1})


async def test_a_reader_that_never_reads_holds_little_and_is_told_so() -> None:
    watches = Watches[int, int](pending=100)
    with watches.watch() as watch:
        for number in range(10_000):
            watches.publish({number: number})
        with pytest.raises(WatchOverrun) as caught:
            await watch.next()
    assert (caught.value.code, caught.value.reason) == (Code.ABORTED, "WATCH_OVERRUN")
    assert caught.value.message == (
        "More than 100 changes wait for this watch; begin again with a new one."
    )


async def test_keys_that_change_often_do_not_overrun() -> None:
    watches = Watches[str, int](pending=1)
    with watches.watch() as watch:
        for number in range(1000):
            watches.publish({"a": number})
        assert await watch.next() == {"a": 999}


async def of(*changes: Mapping[str, int]) -> AsyncIterator[Mapping[str, int]]:
    for each in changes:
        yield each


async def test_changes_that_wait_are_merged() -> None:
    source = of({"a": 1}, {"a": 2, "b": 1}, {"a": 3})
    assert [each async for each in coalesced(source)] == [{"a": 3, "b": 1}]
    source = of({"a": 1}, {"a": 2, "b": 1}, {"a": 3})
    assert [each async for each in coalesced(source, merge=operator.add)] == [{"a": 6, "b": 1}]


async def test_a_source_without_changes_ends_the_watch() -> None:
    assert [each async for each in coalesced(of())] == []
    assert [each async for each in coalesced(of({}, {}))] == []


async def test_a_source_that_fails_fails_after_what_came_before() -> None:
    async def broken() -> AsyncIterator[Mapping[str, int]]:
        yield {"a": 1}
        raise ValueError("no more")

    seen: list[Mapping[str, int]] = []
    with pytest.raises(ValueError, match="no more"):
        async for each in coalesced(broken()):
            seen.append(each)
    assert seen == [{"a": 1}]


async def test_a_reader_that_never_reads_holds_the_source_back() -> None:
    taken = 0

    async def endless() -> AsyncIterator[Mapping[int, int]]:
        nonlocal taken
        while True:
            taken += 1
            yield {taken: taken}
            await asyncio.sleep(0)

    async with contextlib.aclosing(coalesced(endless(), pending=10)) as changes:
        first = await anext(changes)
        for _ in range(100):
            await asyncio.sleep(0)
        assert taken <= len(first) + 11
        assert len(await anext(changes)) == 10


async def test_leaving_early_ends_the_source() -> None:
    ended = asyncio.Event()

    async def endless() -> AsyncIterator[Mapping[int, int]]:
        try:
            yield {1: 1}
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with contextlib.aclosing(coalesced(endless())) as changes:
        assert await anext(changes) == {1: 1}
    assert ended.is_set()


@given(
    changes=st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(-5, 5)), max_size=30),
    pauses=st.lists(st.booleans(), max_size=30),
    pending=st.integers(1, 4),
)
@settings(deadline=None)
def test_nothing_is_lost_at_any_speed(
    changes: list[dict[str, int]], pauses: list[bool], pending: int
) -> None:
    async def run() -> None:
        async def source() -> AsyncIterator[Mapping[str, int]]:
            for number, each in enumerate(changes):
                yield each
                if number < len(pauses) and pauses[number]:
                    await asyncio.sleep(0)

        total: dict[str, int] = {}
        for each in changes:
            total = {key: total.get(key, 0) + each.get(key, 0) for key in total | each}
        seen: dict[str, int] = {}
        async for found in coalesced(source(), merge=operator.add, pending=pending):
            seen = {key: seen.get(key, 0) + found.get(key, 0) for key in seen | found}
        assert seen == total

    asyncio.run(run())
