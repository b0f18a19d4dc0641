"""Exchanges end users' tokens for ones that a callee takes: each once, for all calls that wait."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Final

import httpx

from meshpact.clients.exchangewire import TIMEOUT, Endpoint, Exchanged, ask
from meshpact.clients.exchanging import Failed, Outcome
from meshpact.interceptors.call import EndUser
from meshpact.interceptors.errors import KEYS_UNAVAILABLE

ENTRIES: Final = 10_000
"""Exchanged tokens that are remembered."""
WAITING: Final = 1_000
"""Exchanges that may wait for the issuers at once."""
AT_ONCE: Final = 4
MARGIN: Final = 10.0
"""Seconds before its end at which a token is no longer used; of a shorter-lived one, half."""
REFUSED_FOR: Final = 5.0
"""Seconds for which the refusal of an exchange stands, so that no issuer is asked for each call."""

_Key = tuple[bytes, str]
_log: Final = logging.getLogger(__name__)


class TokenExchange:
    """The exchanges of one process, for channels on loops and on threads; see `Forwarding`.

    `endpoints` are by issuer. `verify` is what httpx takes: the CAs that vouch for the issuers.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        verify: bool | str = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoints = dict(endpoints)
        self._verify = verify
        self._clock = clock
        self._lock = Lock()
        self._known: dict[_Key, tuple[Outcome, float]] = {}
        self._flying: dict[_Key, Future[Outcome]] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, "meshpact-exchange")
        self._clients: dict[bool, httpx.Client] = {}
        self._closed = False

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
            if self._closed or len(self._flying) >= WAITING:
                return _done(_CLOSED if self._closed else _BUSY)
            outcome_to_be = self._flying[key] = Future[Outcome]()
            self._pool.submit(self._fetch, key, user, token, outcome_to_be)
            return outcome_to_be

    def close(self) -> None:
        """Starts no further exchange; those that run end by themselves. Twice does no harm."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=True)
        for client in self._clients.values():
            client.close()

    def _fetch(self, key: _Key, user: EndUser, token: str, outcome: Future[Outcome]) -> None:
        try:
            endpoint = self._endpoints[user.issuer]
            found = ask(self._client(endpoint), endpoint, token, key[1])
        except Exception as error:
            # Its text is kept back: it may hold what was sent.
            _log.error("an exchange of tokens failed with %s", type(error).__name__)
            found = _FAILED
        if isinstance(found, Failed):
            held = 0.0 if found.reason is KEYS_UNAVAILABLE else REFUSED_FOR
            self._settle(key, outcome, found, held)
        else:
            self._settle(key, outcome, found.token, _usable(found, user))

    def _settle(
        self, key: _Key, waiting: Future[Outcome], outcome: Outcome, seconds: float
    ) -> None:
        with self._lock:
            del self._flying[key]
            self._known.pop(key, None)
            if seconds > 0:
                while len(self._known) >= ENTRIES:
                    del self._known[next(iter(self._known))]
                self._known[key] = (outcome, self._clock() + seconds)
        waiting.set_result(outcome)

    def _client(self, endpoint: Endpoint) -> httpx.Client:
        # What stays on this machine goes through no proxy.
        outside = endpoint.url.startswith("https:")
        with self._lock:
            if outside not in self._clients:
                self._clients[outside] = httpx.Client(
                    timeout=TIMEOUT, verify=self._verify, trust_env=outside
                )
            return self._clients[outside]


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
    f"{WAITING} exchanges of tokens wait for their issuers already: the call was not sent.",
)
_CLOSED: Final = Failed(KEYS_UNAVAILABLE, "This process is about to end: the call was not sent.")
_FAILED: Final = Failed(
    KEYS_UNAVAILABLE, "The exchange of the end user's token failed: the call was not sent."
)
