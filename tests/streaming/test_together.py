"""Many questions in few calls: each gets its own answer, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Sequence

import pytest

from reference.streaming.together import Together

WHOSE: contextvars.ContextVar[str] = contextvars.ContextVar("WHOSE", default="nobody's")


class Asked:
    """Doubles numbers once it may; `calls` has what each call of it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.contexts: list[str] = []
        self.may = asyncio.Event()

    async def __call__(self, numbers: Sequence[int]) -> Sequence[int]:
        self.calls.append(list(numbers))
        self.contexts.append(WHOSE.get())
        await self.may.wait()
        if 13 in numbers:
            raise LookupError("13")
        return [2 * each for each in numbers]


async def begun(together: Together[int, int], *numbers: int) -> list[asyncio.Task[int]]:
    """Tasks that have asked."""
    tasks = [asyncio.create_task(together.answer(each)) for each in numbers]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_who_comes_while_a_call_is_under_way_shares_the_next() -> None:
    asked = Asked()
    together = Together(asked, 3)
    tasks = await begun(together, 1)
    tasks += await begun(together, 2, 3, 4, 5)
    asked.may.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8, 10]
    assert asked.calls == [[1], [2, 3, 4], [5]]
    assert await together.answer(6) == 12


async def test_a_failed_call_fails_those_who_asked_and_nobody_after_them() -> None:
    asked = Asked()
    together = Together(asked, 2)
    tasks = await begun(together, 1)
    tasks += await begun(together, 13, 2, 3)
    asked.may.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in results] == [int, LookupError, LookupError, int]


async def test_who_gives_up_takes_nobody_along() -> None:
    asked = Asked()
    together = Together(asked, 10)
    first, second, third = await begun(together, 1) + await begun(together, 2, 3)
    first.cancel()
    second.cancel()
    asked.may.set()
    assert await third == 6
    assert asked.calls == [[1], [3]]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_call_runs_in_nobodys_context() -> None:
    asked = Asked()
    asked.may.set()
    WHOSE.set("the first one's")
    await Together(asked, 10).answer(1)
    assert asked.contexts == ["nobody's"]
