"""Totals as server-sent events (HTML Living Standard, 9.2): what a browser needs to stay exact.

Each message of WatchTotals becomes an event `totals`, in ProtoJSON. Its ID is the revision that the
browser has everything up to; a browser that comes back tells the last one, and goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from google.protobuf.json_format import MessageToDict

from acme.marketing.sales.v1 import sales_pb2 as pb
from acme.marketing.sales.v1.sales_mesh import RevisionUnknown, SalesServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import TOKEN_EXPIRED, Code, StatusError
from reference.marketing.web.windows import chosen
from reference.web.login import SignedIn
from reference.web.problems import IssuerError, SignInNeeded, of_call

log = logging.getLogger(__name__)

PULSE: Final = 15.0
"""Seconds of silence after which a comment says that the connection lives."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 8.0
DIMENSIONS: Final = (pb.DIMENSION_COUNTRY, pb.DIMENSION_PRODUCT, pb.DIMENSION_HOUR)
AWAY: Final = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED, Code.RESOURCE_EXHAUSTED)
"""Ends of a call after which asking again may help."""


class Live:
    """The totals of one window for one person, from a revision on."""

    def __init__(
        self,
        sales: SalesServiceClient,
        user: SignedIn,
        *,
        window: str,
        after: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sales = sales
        self._user = user
        self._window = chosen(window, clock)
        self._after = after
        self._token = ""

    async def events(self) -> AsyncGenerator[str]:
        """The lines to send. Ends with `moved` at the full hour, `signin` or `problem`."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=4)
        following = asyncio.create_task(self._follow(queue))
        loop = asyncio.get_running_loop()
        left = self._window.seconds
        end = None if left is None else loop.time() + left
        try:
            yield "retry: 1000\n\n"
            while True:
                wait = PULSE if end is None else max(0.0, min(PULSE, end - loop.time()))
                try:
                    async with asyncio.timeout(wait):
                        event = await queue.get()
                except TimeoutError:
                    if end is not None and loop.time() >= end:
                        yield event_text("moved", {})
                        return
                    event = ": still here\n\n"
                if event is None:
                    return
                if self._user.ended:
                    yield event_text("signin", {})
                    return
                yield event
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _follow(self, queue: asyncio.Queue[str | None]) -> None:
        pause = FIRST_PAUSE
        while True:
            went_on = False
            try:
                async with contextlib.aclosing(self._watch()) as answers:
                    async for answer in answers:
                        await queue.put(event_text("totals", *_told(answer)))
                        if answer.complete:
                            self._after, pause, went_on = answer.revision, FIRST_PAUSE, True
            except RevisionUnknown:
                self._after = 0  # the sales database is another one
                await queue.put(event_text("reset", {}))
            except SignInNeeded:
                await queue.put(event_text("signin", {}))
                break
            except (CallError, StatusError) as error:
                lapsed = error.reason == TOKEN_EXPIRED.name
                if error.code not in AWAY and not lapsed:
                    await queue.put(event_text("problem", {"message": of_call(error).message}))
                    break
                if lapsed:
                    self._user.spent(self._token)
                if not went_on or not (lapsed or error.code is Code.DEADLINE_EXCEEDED):
                    await queue.put(event_text("waiting", {}))
                    went_on = False
            except IssuerError:
                await queue.put(event_text("waiting", {}))
            except Exception:
                log.exception("the totals could not be followed")
                words = "Something went wrong on our side."
                await queue.put(event_text("problem", {"message": words}))
                break
            if went_on:
                continue  # a watch ends now and then, at the latest with its token
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        await queue.put(None)

    async def _watch(self) -> AsyncGenerator[pb.WatchTotalsResponse]:
        request = pb.WatchTotalsRequest(
            dimensions=DIMENSIONS, window=self._window.message, after_revision=self._after
        )
        self._token = await self._user.token()
        async for answer in self._sales.watch_totals(request, token=self._token):
            yield answer


def _told(answer: pb.WatchTotalsResponse) -> tuple[dict[str, Any], str]:
    """The data of an event, and its ID."""
    body = MessageToDict(answer, always_print_fields_with_no_presence=True)
    return body, str(answer.revision) if answer.complete else ""


def event_text(name: str, data: dict[str, Any], event_id: str = "") -> str:
    """One event as it is sent."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
