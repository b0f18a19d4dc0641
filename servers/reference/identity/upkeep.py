"""What the authorization server does by itself with its keys: it rotates them, and has health tell
when they grow too old, or cannot be read at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from meshpact.servers.background import Job
from meshpact.servers.context import ServiceContext
from reference.identity.settings import Lifetimes
from reference.identity.signingkeys import KeyFileError, SigningKeys

log = logging.getLogger("acme.identity")

EVERY: Final = 300.0
"""Seconds between two rounds."""
SOON: Final = 5.0
"""Seconds until the next round after one that failed; each further pause is twice as long."""
OVERDUE: Final = 86400.0
"""Seconds for which a rotation may fail before health tells."""
HEALTH: Final = "acme.identity.keys"
"""The name under which health tells of the keys (grpc.health.v1). Tokens are signed meanwhile."""
JOB: Final = "keys"


class Upkeep:
    """Looks after `keys`. `health` is told what HEALTH is: good, or not."""

    def __init__(
        self, keys: SigningKeys, lifetimes: Lifetimes, *, health: Callable[[str, bool], object]
    ) -> None:
        self._keys = keys
        self._lifetimes = lifetimes
        self._health = health

    def begin(self, context: ServiceContext) -> Job:
        """Goes round for as long as the service runs."""
        return context.background(JOB, self.round, every=EVERY, pause=SOON, pause_at_most=EVERY)

    async def round(self) -> None:
        """Looks once. KeyFileError, OSError."""
        try:
            if self._keys.age() > self._lifetimes.key:
                # it may wait for another process, and for the disk
                log.info("a new key signs soon: %s", await asyncio.to_thread(self._keys.rotate))
        finally:
            self._health(HEALTH, self._young())

    def _young(self) -> bool:
        try:
            return self._keys.age() <= self._lifetimes.key + OVERDUE
        except KeyFileError:
            return False
