"""How long an identity has left, and saying so loudly before it fails.

Whatever renews identities does so at half of their life. One with less than a third left was not
renewed: something is broken, and there is time to mend it.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from meshpact.certs.identity import IdentitySource
from meshpact.certs.svid import X509Svid

_log: Final = logging.getLogger(__name__)

BACKDATE: Final = 300.0
"""Seconds before its issue from which a certificate is valid, as most CAs have it: no part of its
life, unless that is no longer."""
REPEAT: Final = 300.0
"""Seconds between two log lines that say the same."""
LONGEST_WAIT: Final = 60.0
"""Seconds between two looks at most: clocks may jump."""

_CLOSE_WAIT: Final = 5.0


class Stage(enum.Enum):
    """What part of its life an identity has left."""

    SOUND = "sound"
    SOON = "soon"
    """Less than a third."""
    CLOSE = "close"
    """Less than a tenth."""
    EXPIRED = "expired"


_BOUNDS: Final = ((Stage.SOON, 1 / 3), (Stage.CLOSE, 1 / 10), (Stage.EXPIRED, 0.0))


@dataclass(frozen=True, slots=True)
class Expiry:
    """An identity's end (seconds since the epoch), and how far off it is."""

    svid: X509Svid
    not_after: float
    left: float
    """Seconds; negative when it is past."""
    stage: Stage
    until_next: float
    """Seconds until the next stage; infinite after the last."""

    def words(self) -> str:
        """For people: `expires in 12 minutes (2026-11-23 05:13:29 UTC)`."""
        at = datetime.fromtimestamp(self.not_after, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        if self.left <= 0:
            return f"expired {span(-self.left)} ago ({at})"
        return f"expires in {span(self.left)} ({at})"


def expiry(svid: X509Svid, now: float) -> Expiry:
    """How an SVID stands at `now` (seconds since the epoch)."""
    end = svid.not_after
    life = end - svid.not_before
    if life > BACKDATE:
        life -= BACKDATE
    left = end - now
    stage, until_next = Stage.SOUND, float("inf")
    for reached, part in _BOUNDS:
        if left > life * part:
            until_next = left - life * part
            break
        stage = reached
    return Expiry(svid, end, left, stage, until_next)


class ExpiryWatch:
    """Watches a source on a thread of its own, from `start` to `close`, and logs what is due.

    Subscribers get the Expiry at `start` and at each change of stage or identity, on that thread.
    `wall` tells the time in seconds since the epoch.
    """

    def __init__(self, source: IdentitySource, *, wall: Callable[[], float] = time.time) -> None:
        self._source = source
        self._wall = wall
        self._told: list[Callable[[Expiry], None]] = []
        self._woken = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._last: Expiry | None = None
        self._logged = float("-inf")

    def subscribe(self, callback: Callable[[Expiry], None]) -> None:
        """Tell `callback`; before `start`."""
        self._told.append(callback)

    def start(self) -> None:
        """Look now, and go on looking."""
        self._look()
        self._thread = threading.Thread(target=self._run, name="meshpact-expiry", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread. Again, or before `start`, does no harm."""
        self._closed = True
        self._woken.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_WAIT)

    def _run(self) -> None:
        leave = self._source.subscribe(self._woken.set)
        try:
            self._look()
            while not self._closed:
                self._woken.wait(self._pause())
                self._woken.clear()
                if not self._closed:
                    self._look()
        finally:
            leave()

    def _pause(self) -> float:
        last = self._last
        return LONGEST_WAIT if last is None else min(last.until_next, LONGEST_WAIT)

    def _look(self) -> None:
        now = self._wall()
        try:
            found = expiry(self._source.current().svid, now)
        except Exception:
            _log.exception("the source of identities failed, its expiry is not known")
            return
        last, self._last = self._last, found
        news = last is None or last.stage is not found.stage
        if news or (found.stage is not Stage.SOUND and not 0 <= now - self._logged < REPEAT):
            self._say(found, renewed=last is not None)
            self._logged = now
        if news or (last is not None and last.svid is not found.svid):
            for told in self._told:
                try:
                    told(found)
                except Exception:
                    _log.exception("a subscriber to the expiry of an identity failed")

    @staticmethod
    def _say(found: Expiry, *, renewed: bool) -> None:
        if found.stage is Stage.SOUND:
            if renewed:
                _log.info("the identity %s was renewed: it %s", found.svid.id, found.words())
            return
        level = logging.WARNING if found.stage is Stage.SOON else logging.ERROR
        _log.log(
            level,
            "the identity %s %s, and nothing has renewed it: look at what should, the CA of the "
            "mesh, the agent or the volume",
            found.svid.id,
            found.words(),
        )


def span(seconds: float) -> str:
    """A length of time in its largest unit: `12 minutes`."""
    for length, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}s"
    return f"{int(seconds)} second{'' if int(seconds) == 1 else 's'}"
