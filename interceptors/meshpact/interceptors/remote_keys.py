"""Keys of a token issuer at an address (a JWK set, RFC 7517), fetched once for all who wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from threading import Lock
from typing import Final

import httpx
from joserfc.jwk import KeySet

from meshpact.interceptors.keys import KeysError, parse_keys

FETCH_TIMEOUT: Final = 3.0
COOLDOWN: Final = 10.0
"""Seconds between two fetches for a key ID that the last key set did not have."""
MAX_AGE: Final = 3600.0
"""Seconds after which a fetched key set is fetched again."""
MAX_BYTES: Final = 256 * 1024


class RemoteKeys:
    """Keys at an address, fetched once for all who wait, not more often than the cooldown lets."""

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        verify: bool | str = True,
    ) -> None:
        self._url = url
        self._clock = clock
        self._verify = verify
        self._keys: KeySet | None = None
        self._fetched = -MAX_AGE
        self._tried = -COOLDOWN
        self._lock = Lock()
        self._task: asyncio.Task[None] | None = None

    def current(self) -> KeySet | None:
        """The keys of the last fetch that worked."""
        return self._keys

    def stale(self, key_id: str) -> bool:
        """Whether a fetch is due: no keys, old keys, or an unknown key ID, outside the cooldown."""
        now = self._clock()
        if now - self._tried < COOLDOWN:
            return False
        return (
            self._keys is None
            or now - self._fetched > MAX_AGE
            or all(key.kid != key_id for key in self._keys.keys)
        )

    def refresh(self) -> None:
        """Fetches the keys, one thread at a time."""
        asked = self._clock()
        with self._lock:
            if self._tried > asked:
                return
            self._tried = self._clock()
            try:
                with httpx.Client(timeout=FETCH_TIMEOUT, verify=self._verify) as client:
                    self._accept(client.get(self._url))
            except (httpx.HTTPError, KeysError):
                return

    async def refresh_async(self) -> None:
        """Fetches the keys; callers at once share one fetch, and none can cancel it for others."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._fetch())
        await asyncio.shield(self._task)

    async def _fetch(self) -> None:
        self._tried = self._clock()
        try:
            async with httpx.AsyncClient(timeout=FETCH_TIMEOUT, verify=self._verify) as client:
                self._accept(await client.get(self._url))
        except (httpx.HTTPError, KeysError):
            return

    def _accept(self, response: httpx.Response) -> None:
        response.raise_for_status()
        if len(response.content) > MAX_BYTES:
            raise KeysError(f"{self._url}: the key set is over {MAX_BYTES} bytes")
        self._keys = parse_keys(response.content)
        self._fetched = self._clock()
