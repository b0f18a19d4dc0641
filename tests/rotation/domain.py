"""A trust domain whose leaves and CA change while servers and channels live."""

from __future__ import annotations

import time
from collections.abc import Callable

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.source import Identity
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.svid import X509Svid
from meshpact.testing.authority import Authority
from meshpact.testing.sources import PushedSource

PATIENCE = 60.0


class Domain:
    """Hands out one source a workload, and pushes what is new to all of them.

    A CA is rotated in three steps: `prepare` (all trust the new one too), `activate` (it signs all
    leaves), `retire` (nobody trusts the old one).
    """

    def __init__(self, authority: Authority) -> None:
        self.name = authority.trust_domain
        self._signing = authority
        self._trusted = [authority]
        self._sources: dict[str, PushedSource] = {}
        self.lifetime = 3600.0

    def id_of(self, name: str) -> SpiffeId:
        """The ID of a workload."""
        return SpiffeId.for_service(self.name, name)

    def source(self, name: str) -> PushedSource:
        """A workload's source; the same one each time."""
        if name not in self._sources:
            self._sources[name] = PushedSource(Identity(self._leaf(name), self._bundles()))
        return self._sources[name]

    def renew(self) -> None:
        """New leaves for all."""
        bundles = self._bundles()
        for name, source in self._sources.items():
            source.push(Identity(self._leaf(name), bundles))

    def prepare(self) -> None:
        """A new CA enters the bundle of all."""
        self._trusted.append(Authority(self.name))
        self._rebundle()

    def activate(self) -> None:
        """The newest CA signs, and all have leaves of it."""
        self._signing = self._trusted[-1]
        self.renew()

    def retire(self) -> None:
        """All CAs but the one that signs leave the bundle of all."""
        self._trusted = [self._signing]
        self._rebundle()

    def _rebundle(self) -> None:
        bundles = self._bundles()
        for source in self._sources.values():
            source.push(Identity(source.current().svid, bundles))

    def _bundles(self) -> dict[str, TrustBundle]:
        pem = b"".join(each.roots_pem for each in self._trusted)
        return {self.name: TrustBundle.from_pem(self.name, pem)}

    def _leaf(self, name: str) -> X509Svid:
        leaf = self._signing.issue(name, lifetime=self.lifetime)
        return X509Svid.from_pem(leaf.chain_pem, leaf.key_pem)


def until(holds: Callable[[], bool], what: str) -> None:
    """Returns when `holds` does; an error that says `what` did not come when it never does."""
    limit = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > limit:
            raise AssertionError(f"not within {PATIENCE:g} s: {what}")
        time.sleep(0.005)
