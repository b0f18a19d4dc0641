"""A call that waits for its token: what to wait for, and how to go on; on a loop or a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, NamedTuple

from meshpact.clients.errors import CallError, own
from meshpact.interceptors.call import MetadataValue
from meshpact.interceptors.errors import BUDGET_SPENT, KEYS_UNAVAILABLE, Reason

Sent = tuple[tuple[str, MetadataValue], ...]

LONGEST: Final = 10.0
"""Seconds that a call waits for its token at most, however much time it has."""


class Failed(NamedTuple):
    """Why there is no token."""

    reason: Reason
    message: str


Outcome = str | Failed


class Exchanging(Exception):
    """The end user's token is being exchanged: wait, then send the call with the new one.

    `seconds` is the time that the call has, the wait included.
    """

    def __init__(
        self,
        method: str,
        outcome: Future[Outcome],
        seconds: float,
        finish: Callable[[float, str], tuple[float, Sent]],
    ) -> None:
        super().__init__("the end user's token is being exchanged")
        self._method = method
        self._outcome = outcome
        self._seconds = seconds
        self._finish = finish
        self._until = time.monotonic() + seconds

    def wait(self) -> tuple[float, Sent]:
        """Blocks; (timeout in seconds, metadata to send). Raises CallError without a token."""
        try:
            outcome = self._outcome.result(min(self._seconds, LONGEST))
        except TimeoutError:
            raise self._late() from None
        return self._ready(outcome)

    async def wait_async(self) -> tuple[float, Sent]:
        """The same without blocking the loop; to cancel it cancels no exchange."""
        waiting = asyncio.wrap_future(self._outcome)
        try:
            async with asyncio.timeout(min(self._seconds, LONGEST)):
                outcome = await asyncio.shield(waiting)
        except TimeoutError:
            raise self._late() from None
        return self._ready(outcome)

    def _ready(self, outcome: Outcome) -> tuple[float, Sent]:
        if isinstance(outcome, Failed):
            raise own(outcome.reason, outcome.message, self._method) from None
        return self._finish(max(0.0, self._until - time.monotonic()), outcome)

    def _late(self) -> CallError:
        if self._seconds <= LONGEST:
            return own(
                BUDGET_SPENT,
                "The time of this call went by while its end user's token was exchanged: it was "
                "not sent.",
                self._method,
            )
        return own(
            KEYS_UNAVAILABLE,
            f"The issuer did not exchange the end user's token within {LONGEST:g} s: the call was "
            "not sent.",
            self._method,
        )
