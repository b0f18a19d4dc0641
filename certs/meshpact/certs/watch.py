"""A thread that looks at a source again and again, for as long as somebody is subscribed to it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from meshpact.certs.identity import Identity, Subscribers

_log: Final = logging.getLogger(__name__)

LOOK: Final = 0.5
"""Seconds between two looks."""


class Watch:
    """Tells subscribers when `current` gives another identity than before.

    One daemon thread, from the first subscriber on; it ends with the last one.
    """

    def __init__(self, current: Callable[[], Identity], *, look: float = LOOK) -> None:
        self._current = current
        self._look = look
        self._subscribers = Subscribers()
        self._lock = threading.Lock()
        self._round: _Round | None = None

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """As `IdentitySource.subscribe`."""
        with self._lock:
            remove = self._subscribers.add(callback)
            if self._round is None:
                self._round = _Round()
                told = self._current()
                threading.Thread(
                    target=self._run,
                    args=(self._round, told),
                    name="meshpact-identity",
                    daemon=True,
                ).start()

        def unsubscribe() -> None:
            remove()
            with self._lock:
                if self._round is not None and not self._subscribers:
                    self._round.ended = True
                    self._round.woken.set()
                    self._round = None

        return unsubscribe

    def wake(self) -> None:
        """Look now: whoever found a change by itself says so."""
        watched = self._round
        if watched is not None:
            watched.woken.set()

    def _run(self, watched: _Round, told: Identity) -> None:
        while True:
            watched.woken.wait(self._look)
            watched.woken.clear()
            if watched.ended:
                return
            try:
                found = self._current()
            except Exception:
                _log.exception("a source of identities failed, the last identity stays")
                continue
            if found is not told:
                told = found
                self._subscribers.tell()


class _Round:
    """One life of the thread."""

    def __init__(self) -> None:
        self.woken = threading.Event()
        self.ended = False
