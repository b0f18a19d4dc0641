"""Keys of a token issuer at an address (a JWK set, RFC 7517), fetched once for all who wait."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from meshpact.interceptors.background import Flight
from meshpact.interceptors.discovery import discover
from meshpact.interceptors.fetch import TIMEOUT, Verify, fetch, shown
from meshpact.interceptors.keyring import KeyRing, KeysError, parse_keys
from meshpact.interceptors.keys import MAX_BYTES, TRUSTED
from meshpact.mesh import urls

log = logging.getLogger("meshpact.keys")

COOLDOWN: Final = 10.0
"""Seconds after a fetch before an unknown key ID, or its failure, leads to the next."""
DEFAULT_AGE: Final = 300.0
"""Seconds after which a key set is fetched again that does not say for how long it holds."""
LEAST_AGE: Final = 30.0
MOST_AGE: Final = 3600.0
"""The bounds of what a key set may say: no key is used longer after it left the set, as long as
the set can be had; and `meshpact.interceptors.keys.TRUSTED` seconds when it cannot. The issuer's
metadata, which say where the set is, are looked at as often."""


class RemoteKeys:
    """Keys at `url`; with `issuer`, `url` is that of the issuer's metadata, which say where.

    Keys past their age are used on while they are fetched anew in the background. KeysError for an
    address that is neither https nor on this machine.
    """

    def __init__(
        self,
        url: str,
        *,
        issuer: str = "",
        clock: Callable[[], float] = time.monotonic,
        verify: Verify = True,
        timeout: float = TIMEOUT,
    ) -> None:
        if not urls.is_safe_url(url):
            raise KeysError(f"{shown(url)} is neither https nor on this machine")
        self._url = url
        self._issuer = issuer
        self._clock = clock
        self._verify = verify
        self._timeout = timeout
        self._keys: KeyRing | None = None
        self._content: bytes = b""
        self._address = "" if issuer else url
        self._discovered = float("-inf")
        self._due = self._until = float("inf")
        self._tried = float("-inf")
        self._problem = ""
        self._flight = Flight(self._fetch)

    @property
    def failing(self) -> bool:
        """Whether the last fetch failed."""
        return bool(self._problem)

    def current(self) -> KeyRing | None:
        """The keys of the last fetch that worked, for as long as they are believed."""
        if self._due <= (now := self._clock()):
            self._flight.start()
        return self._keys if now < self._until else None

    def stale(self, key_id: str) -> bool:
        """Whether a fetch is under way, or due: there is a cooldown for unknown key IDs."""
        return self._flight.under_way or self._clock() - self._tried >= COOLDOWN

    def refresh(self) -> None:
        """Fetches the keys, or waits for the fetch under way; within the cooldown it does not."""
        if self.stale(""):
            self._flight.start().refresh()

    async def refresh_async(self) -> None:
        """The same without blocking the loop."""
        if self.stale(""):
            await self._flight.start().refresh_async()

    async def _fetch(self) -> None:
        try:
            await self._fetch_keys()
            if self._problem:
                log.info("%s: the keys can be had again", shown(self._url))
            self._problem = ""
        except Exception as error:
            self._due = self._clock() + COOLDOWN
            if self._issuer:
                self._address = ""  # it may have moved
            if str(error) != self._problem:
                log.warning("%s; the keys known so far are used on", error)
            self._problem = str(error) or type(error).__name__
        finally:
            self._tried = self._clock()

    async def _fetch_keys(self) -> None:
        if self._issuer and (not self._address or self._clock() - self._discovered >= MOST_AGE):
            self._address = await discover(
                self._url, self._issuer, verify=self._verify, within=self._timeout
            )
            self._discovered = self._clock()
        found = await fetch(self._address, MAX_BYTES, verify=self._verify, within=self._timeout)
        if self._keys is None or found.content != self._content:
            try:
                self._keys = parse_keys(found.content)
            except KeysError as error:
                raise KeysError(f"{shown(self._address)}: {error}") from None
            self._content = found.content
        age = DEFAULT_AGE if found.max_age is None else found.max_age
        now = self._clock()
        self._due = now + min(max(age, LEAST_AGE), MOST_AGE)
        self._until = now + TRUSTED
