"""Live answers (server-sent events) within bounds: a session's, a person's, and all together.

One that is open costs a connection here, a call to the mesh, and a place of whoever comes later. A
browser does not ask again by itself after an answer that is no stream of events (HTML Living
Standard, 9.2.3), so that a refusal ends it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from typing import Final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from reference.web.login import SignedIn
from reference.web.problems import Problem, Refused

SESSION: Final = 4
"""Of the six connections that a browser has for a host it needs some for pages."""
PERSON: Final = 12
TOGETHER: Final = 500
RETRY_AFTER: Final = 10
"""Seconds after which to ask again."""


class Streams:
    """The live answers of one site: how many one session, one person and all may have open."""

    def __init__(
        self, *, session: int = SESSION, person: int = PERSON, together: int = TOGETHER
    ) -> None:
        self._session = session
        self._person = person
        self._together = together
        self._sessions = Counter[int]()
        self._people = Counter[str]()

    def check(self, user: SignedIn) -> None:
        """Refused (429) when there is no room for one more."""
        if self._sessions[id(user)] >= self._session:
            raise _full(f"This browser shows {self._session} live pages already. Close one.")
        if self._people[user.subject] >= self._person:
            raise _full(f"You have {self._person} live pages open already. Close one.")
        if self._people.total() >= self._together:
            raise _full("Too many live pages are open at the moment.")

    def answer(self, user: SignedIn, events: AsyncGenerator[str]) -> StreamingResponse:
        """Events as an answer, which has a place until it ends. Refused (429) without one."""
        self.check(user)
        return _Live(self, user, events)

    def begin(self, user: SignedIn) -> None:
        """Counts an answer."""
        self._sessions[id(user)] += 1
        self._people[user.subject] += 1

    def end(self, user: SignedIn) -> None:
        """Counts it no more."""
        self._sessions -= Counter((id(user),))
        self._people -= Counter((user.subject,))

    def __len__(self) -> int:
        return self._people.total()


class _Live(StreamingResponse):
    def __init__(self, streams: Streams, user: SignedIn, events: AsyncGenerator[str]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._streams, self._user, self._events = streams, user, events
        streams.begin(user)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.end(self._user)
            await self._events.aclose()


def _full(words: str) -> Refused:
    return Refused(Problem(429, words, "TOO_MANY_STREAMS", retry_after=RETRY_AFTER))
