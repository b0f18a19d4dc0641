"""Exchanges end users' tokens for ones that a callee takes: each once, for all calls that wait."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import Lock
from typing import Final

from meshpact.clients.exchangewait import Failed, Outcome
from meshpact.clients.exchangewire import Endpoint, Exchanged, ask
from meshpact.interceptors.background import Landing
from meshpact.interceptors.call import EndUser
from meshpact.interceptors.errors import KEYS_UNAVAILABLE
from meshpact.interceptors.fetch import Verify

ENTRIES: Final = 10_000
"""Exchanged tokens that are remembered."""
AT_ONCE: Final = 64
"""Exchanges under way; further calls fail until one has ended."""
MARGIN: Final = 10.0
"""Seconds before its end at which a token is no longer used; of a shorter-lived one, half."""
REFUSED_FOR: Final = 5.0
"""Seconds for which the refusal of an exchange stands, so that no issuer is asked for each call."""

_Key = tuple[bytes, str]
_log: Final = logging.getLogger(__name__)


class TokenExchange:
    """The exchanges of one process, for channels on loops and on threads; see `Forwarding`.

    `endpoints` are by issuer. `verify` is whom to believe over https.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        verify: Verify = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoints = dict(endpoints)
        self._verify = verify
        self._clock = clock
        self._lock = Lock()
        self._known: dict[_Key, tuple[Outcome, float]] = {}
        self._flying: dict[_Key, Future[Outcome]] = {}

    def offers(self, issuer: str) -> bool:
        """Whether mesh.yaml names a token endpoint of the issuer."""
        return issuer in self._endpoints

    def exchanged(self, user: EndUser, token: str, audience: str) -> str | Future[Outcome]:
        """The user's token for an audience: the one that is known, or one that is on its way."""
        key = (hashlib.sha256(token.encode()).digest(), audience)
        with self._lock:
            known = self._known.get(key)
            if known is not None and self._clock() < known[1]:
                outcome = known[0]
                return outcome if isinstance(outcome, str) else _done(outcome)
            flying = self._flying.get(key)
            if flying is not None:
                return flying
            if len(self._flying) >= AT_ONCE:
                return _done(_BUSY)
            flying = self._flying[key] = Future[Outcome]()
        Landing(self._fetch(key, user, token, flying))
        return flying

    async def _fetch(self, key: _Key, user: EndUser, token: str, waiting: Future[Outcome]) -> None:
        outcome: Outcome = _FAILED
        seconds = 0.0
        try:
            found = await ask(self._endpoints[user.issuer], token, key[1], verify=self._verify)
            if isinstance(found, Exchanged):
                outcome, seconds = found.token, _usable(found, user)
            else:
                outcome, seconds = found, 0.0 if found.reason is KEYS_UNAVAILABLE else REFUSED_FOR
        except Exception as error:
            # Its text is kept back: it may hold what was sent.
            _log.error("an exchange of tokens failed with %s", type(error).__name__)
        finally:
            with self._lock:
                del self._flying[key]
                self._known.pop(key, None)
                if seconds > 0:
                    while len(self._known) >= ENTRIES:
                        del self._known[next(iter(self._known))]
                    self._known[key] = (outcome, self._clock() + seconds)
            waiting.set_result(outcome)


def _usable(found: Exchanged, user: EndUser) -> float:
    """For how many seconds an exchanged token is used."""
    lifetime = user.expires - time.time() if found.lifetime is None else found.lifetime
    return max(lifetime - MARGIN, lifetime / 2)


def _done(outcome: Failed) -> Future[Outcome]:
    future = Future[Outcome]()
    future.set_result(outcome)
    return future


_BUSY: Final = Failed(
    KEYS_UNAVAILABLE,
    f"{AT_ONCE} exchanges of tokens are under way already: the call was not sent.",
)
_FAILED: Final = Failed(
    KEYS_UNAVAILABLE, "The exchange of the end user's token failed: the call was not sent."
)
