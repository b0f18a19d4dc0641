"""A source of identities that a test pushes by hand."""

from __future__ import annotations

from collections.abc import Callable

from meshpact.certs.identity import Identity, Subscribers


class PushedSource:
    """Gives the identity pushed last; subscribers are told on the thread that pushes."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._subscribers = Subscribers()

    def current(self) -> Identity:
        """The identity pushed last."""
        return self._identity

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Run `callback` after each push, until what is returned is called."""
        return self._subscribers.add(callback)

    def push(self, identity: Identity) -> None:
        """Puts a new identity in place and tells all subscribers before it returns."""
        self._identity = identity
        self._subscribers.tell()
