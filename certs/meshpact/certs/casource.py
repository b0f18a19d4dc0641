"""An identity that a local CA issues to this very process, without files: renewed by itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.ca import DEFAULT_LIFETIME, LocalCA
from meshpact.certs.errors import CertsError
from meshpact.certs.identity import Identity
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.svid import X509Svid
from meshpact.certs.watch import Watch

_log: Final = logging.getLogger(__name__)

LOOK: Final = 0.5
"""Seconds between two looks at the CA."""


class LocalCASource:
    """Issues SVIDs for one workload from a CA whose key this process can read.

    A new one comes at half of the lifetime, and at once when the CA's signing root changes; the
    bundle follows the CA's. `current` looks at the CA every half second at most (about 20 us). When
    the CA fails, the last identity stays and the log says why. CaError when the first cannot be
    issued. `wall` gives seconds since the epoch. Safe to use from several threads.
    """

    def __init__(
        self,
        ca: LocalCA,
        workload: SpiffeId,
        *,
        lifetime: timedelta = DEFAULT_LIFETIME,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._ca = ca
        self._workload = workload
        self._lifetime = lifetime
        self._wall = wall
        self._lock = threading.Lock()
        self._fault = ""
        now = wall()
        self._looked = now
        self._identity = self._issued(now)
        self._watch = Watch(self.current, look=LOOK)

    def current(self) -> Identity:
        """The identity as it is now."""
        now = self._wall()
        if 0.0 <= now - self._looked < LOOK and now < self._renewal:
            return self._identity
        with self._lock:
            self._looked = now
            try:
                identity = self._next(now)
            except (CertsError, OSError) as error:
                self._failed(error)
            else:
                self._fault = ""
                if identity is not self._identity:
                    self._identity = identity
                    self._watch.wake()
            return self._identity

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Look every half second, on a thread of its own, for as long as somebody is subscribed."""
        return self._watch.subscribe(callback)

    def _next(self, now: float) -> Identity:
        last = self._identity
        self._ca.refresh()
        if now >= self._renewal or not self._ca.vouches_for(last.svid):
            return self._issued(now)
        bundle = self._ca.bundle
        if bundle == last.bundles[self._ca.trust_domain.name]:
            return last
        return _identity(last.svid, bundle)

    def _issued(self, now: float) -> Identity:
        moment = datetime.fromtimestamp(now, UTC)
        svid = self._ca.issue(self._workload, lifetime=self._lifetime, now=moment)
        self._renewal = now + (svid.not_after - now) / 2
        return _identity(svid, self._ca.bundle)

    def _failed(self, error: Exception) -> None:
        if str(error) != self._fault:
            self._fault = str(error)
            _log.error(
                "the local CA failed, the last identity of %s stays: %s", self._workload, error
            )


def _identity(svid: X509Svid, bundle: TrustBundle) -> Identity:
    return Identity(svid, MappingProxyType({bundle.trust_domain.name: bundle}))
