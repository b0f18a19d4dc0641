"""Any source of identities, with the bundles of federated domains beside its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.federation import Federation
from meshpact.certs.identity import Identity, IdentitySource


class FederatedSource:
    """Wraps a source. The bundle of the identity's own domain is always the source's own; where
    both know another domain, the federation's bundle counts."""

    def __init__(self, source: IdentitySource, federation: Federation) -> None:
        self._source = source
        self._federation = federation
        self._made = self._make(source.current(), federation.bundles)

    def current(self) -> Identity:
        """The source's identity with all bundles; the same object until either changes."""
        base, bundles = self._source.current(), self._federation.bundles
        made = self._made
        if made[0] is not base or made[1] is not bundles:
            self._made = made = self._make(base, bundles)
        return made[2]

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Run `callback` after a change of the identity or of a federated bundle."""
        leave_source = self._source.subscribe(callback)
        leave_federation = self._federation.subscribe(callback)

        def leave() -> None:
            leave_source()
            leave_federation()

        return leave

    @staticmethod
    def _make(
        base: Identity, bundles: Mapping[str, TrustBundle]
    ) -> tuple[Identity, Mapping[str, TrustBundle], Identity]:
        own = base.svid.id.trust_domain.name
        others = {name: bundle for name, bundle in bundles.items() if name != own}
        merged = MappingProxyType({**base.bundles, **others})
        return base, bundles, Identity(base.svid, merged)
