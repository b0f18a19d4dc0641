"""Asks what many want to know in few calls: who comes while one is under way shares the next."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Together(Generic[Q, A]):
    """`ask` answers up to `most` questions, in their order; one call of it runs at a time.

    It runs in no caller's context: neither the deadline nor the token of one of them counts for
    the others. Made inside the event loop.
    """

    def __init__(self, ask: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], most: int) -> None:
        self._ask = ask
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._task: asyncio.Task[None] | None = None

    async def answer(self, question: Q) -> A:
        """The answer to one question. Raises what `ask` raised."""
        future: asyncio.Future[A] = self._loop.create_future()
        self._waiting.append((question, future))
        if self._task is None:
            self._task = self._loop.create_task(self._run(), context=contextvars.Context())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._tell([each for each in asked if not each[1].done()])
        finally:
            self._task = None

    async def _tell(self, asked: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        if not asked:
            return
        try:
            answers = await self._ask([question for question, _ in asked])
            for (_, future), answer in zip(asked, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
        except Exception as error:
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
