"""What a workload is and trusts, and the Protocol of whatever gives it out and may give out more.

A source is asked anew each time; whoever cannot ask all the time subscribes. Both ways the object
is compared with the last one: a new object means new TLS settings.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.svid import X509Svid

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """An SVID and the bundles that its holder trusts, by the name of the trust domain.

    Two identities are equal only when they are the same object: a new one means new TLS settings.
    """

    svid: X509Svid
    bundles: Mapping[str, TrustBundle]


def same(one: Identity, other: Identity) -> bool:
    """Whether two identities hold the same certificates, key and bundles."""
    return one.svid == other.svid and one.bundles == other.bundles


class IdentitySource(Protocol):
    """Gives the identity of this process as it is now, and tells when there is another."""

    def current(self) -> Identity:
        """The identity; the same object as before as long as nothing changed."""
        ...

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` run after each change; what is returned ends that (any number of times).

        It runs on any thread, without locks held, when `current` gives the new identity already;
        changes in quick succession may be told once. Whoever subscribes first and asks `current`
        then misses none. An exception in a callback is logged.
        """
        ...


class Subscribers:
    """The callbacks of one source; safe to use from several threads."""

    def __init__(self) -> None:
        # The collector may call what `add` returned on a thread that holds the lock already.
        self._lock = threading.RLock()
        self._callbacks: dict[object, Callable[[], None]] = {}

    def __bool__(self) -> bool:
        return bool(self._callbacks)

    def add(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Adds a callback; what is returned removes it."""
        key = object()
        with self._lock:
            self._callbacks[key] = callback

        def remove() -> None:
            with self._lock:
                self._callbacks.pop(key, None)

        return remove

    def tell(self) -> None:
        """Runs all callbacks; one that fails is logged and keeps no other from running."""
        with self._lock:
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            try:
                callback()
            except Exception:
                _log.exception("a subscriber to a source of identities failed")


class FixedSource:
    """A source whose identity never changes."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def current(self) -> Identity:
        """The identity given at the start."""
        return self._identity

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Nothing ever changes: `callback` is never run."""
        return _nothing


def _nothing() -> None:
    pass
