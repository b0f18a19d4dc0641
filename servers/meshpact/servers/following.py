"""Keeps something up to date by another service's events, for as long as the process runs.

The other service streams events after a revision; what was taken in, and up to which revision,
stands in a database here, written in one transaction. A stream that ends is opened again from
there: nothing is lost and nothing taken twice, whoever restarts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from typing import Final, Generic, TypeVar

from meshpact.interceptors.errors import Code, MeshpactError, StatusError
from meshpact.servers.background import CannotGoOn, Job, goes_well
from meshpact.servers.context import ServiceContext

M = TypeVar("M")

PAUSE: Final = 0.1
"""Seconds before a stream that ended is opened again; each further pause is twice as long."""
PAUSE_AT_MOST: Final = 5.0


class Gap(MeshpactError):
    """Events do not go on where those before them ended. Raise it in `take`: the stream is opened
    again from the position that is written down.
    """


class Follower(Generic[M]):
    """Follows one stream. `what` names it in the log; `position` tells the last revision taken in;
    `open_` opens the stream after it; `take` takes a message in, with the new position, in one
    transaction.
    """

    def __init__(
        self,
        what: str,
        *,
        position: Callable[[], Awaitable[int]],
        open_: Callable[[int], AsyncIterable[M]],
        take: Callable[[M], Awaitable[object]],
    ) -> None:
        self._what = what
        self._position = position
        self._open = open_
        self._take = take

    def begin(self, context: ServiceContext, *, health: str = "") -> Job:
        """Follows for as long as the service runs; the other service need not be there yet.

        Failures are logged once each until it goes on, and tried again. `health` is the name under
        which health tells of it, as in `ServiceContext.background`.
        """
        return context.background(
            f"following {self._what}",
            self.run,
            every=PAUSE,
            pause=PAUSE,
            pause_at_most=PAUSE_AT_MOST,
            health=health,
        )

    async def run(self) -> None:
        """Opens the stream once, and takes in what comes until it ends. Raises what it ended with,
        CannotGoOn when the other service has not kept what is needed (OUT_OF_RANGE)."""
        stream = self._open(await self._position())
        try:
            async for message in stream:
                await self._take(message)
                goes_well()
        except StatusError as error:
            if error.code is Code.OUT_OF_RANGE:
                raise CannotGoOn(
                    f"{self._what} cannot be followed any further, begin with an empty database: "
                    f"{error}"
                ) from error
            raise
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
