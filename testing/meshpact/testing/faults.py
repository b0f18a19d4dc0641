"""Faults that tests put before and behind handlers: what networks and machines do by themselves."""

from __future__ import annotations

import asyncio
import difflib
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, cast

from meshpact.interceptors.errors import Code, StatusError
from meshpact.interceptors.spec import MethodSpec
from meshpact.servers.mount import Servicer

Step = Callable[[], Awaitable[None]]


class Held:
    """Calls that wait in front of their handler until `release`."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        """Set once a call waits."""
        self._free = asyncio.Event()

    def release(self) -> None:
        """Let them on, now and later."""
        self._free.set()

    async def pass_through(self) -> None:
        """Wait as a call does."""
        self.arrived.set()
        await self._free.wait()


class Faults:
    """The faults of a mesh of tests, by method (`package.Service/Method`).

    They lie behind the guard: a call that the guard refuses meets none, and leaves them for the
    next. Each is used up by `times` calls, in the order in which they were asked for.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._before: defaultdict[str, list[Step]] = defaultdict(list)
        self._after: defaultdict[str, list[Step]] = defaultdict(list)

    def fail(self, method: str, error: Exception | None = None, *, times: int = 1) -> None:
        """The handler is not reached: `error` is raised instead (default: UNAVAILABLE)."""
        self._add(self._before, method, _raiser(error), times)

    def lose_answer(self, method: str, *, times: int = 1) -> None:
        """The handler runs to its end, and its caller is told UNAVAILABLE all the same."""
        self._add(self._after, method, _raiser(None), times)

    def delay(self, method: str, seconds: float, *, times: int = 1) -> None:
        """The handler begins later, by the clock of the mesh."""

        async def wait() -> None:
            await asyncio.sleep(seconds)

        self._add(self._before, method, wait, times)

    def hold(self, method: str, *, times: int = 1) -> Held:
        """The handler begins when the test says so."""
        held = Held()
        self._add(self._before, method, held.pass_through, times)
        return held

    def clear(self) -> None:
        """Take back all faults that no call has met yet."""
        self._before.clear()
        self._after.clear()

    def wrapped(self, servicer: Servicer) -> Servicer:
        """The same servicer with the faults before and behind each of its methods."""
        spec = type(servicer).SPEC
        members: dict[str, object] = {"SPEC": spec}
        for method in spec.methods:
            self._known.add(method.path[1:])
            members[method.attribute] = self._wrapped(method, getattr(servicer, method.attribute))
        return cast("Servicer", type(type(servicer).__name__, (), members)())

    def _wrapped(self, method: MethodSpec[Any, Any], handler: Callable[..., Any]) -> object:
        name = method.path[1:]

        async def answer(requests: Any, call: Any) -> Any:
            await self._next(self._before, name)
            given = await handler(requests, call)
            await self._next(self._after, name)
            return given

        async def stream(requests: Any, call: Any) -> AsyncGenerator[Any]:
            await self._next(self._before, name)
            given: AsyncIterator[Any] = handler(requests, call)
            try:
                async for each in given:
                    yield each
            finally:
                close = getattr(given, "aclose", None)
                if close is not None:
                    await cast("Coroutine[Any, Any, None]", close())
            await self._next(self._after, name)

        return staticmethod(stream if method.response_streaming else answer)

    async def _next(self, steps: defaultdict[str, list[Step]], method: str) -> None:
        if steps[method]:
            await steps[method].pop(0)()

    def _add(
        self, steps: defaultdict[str, list[Step]], method: str, step: Step, times: int
    ) -> None:
        if method not in self._known:
            near = difflib.get_close_matches(method, self._known, 1)
            hint = f"Did you mean {near[0]}?" if near else "Start the service that serves it first."
            known = ", ".join(sorted(self._known)) or "none"
            raise ValueError(f"no service serves {method!r}. {hint} There are: {known}.")
        if times < 1:
            raise ValueError(f"times: found {times}; allowed: 1 or more")
        steps[method] += [step] * times


def _raiser(error: Exception | None) -> Step:
    async def end() -> None:
        raise error or StatusError(Code.UNAVAILABLE, "The connection was lost", reason="FAULT")

    return end
