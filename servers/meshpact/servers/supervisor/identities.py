"""What the processes of a mesh need on disk before they start: a CA, identities, a token issuer.

Everything is made when it is missing and made anew when it is broken or runs out, except the CA:
what others may trust already is never replaced behind a person's back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.ca import LocalCA, write_svid
from meshpact.certs.errors import CertsError
from meshpact.certs.source import FileSource
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.verify import verify_peer
from meshpact.mesh.config import MeshConfig
from meshpact.mesh.local import prepare
from meshpact.mesh.state import State

LIFETIME: Final = timedelta(hours=24)
"""As long as a local CA allows: channels of clients keep the certificate they were opened with."""
RENEW_BELOW: Final = LIFETIME.total_seconds() / 2
"""An identity with less time left (seconds) is issued anew."""


class Identities:
    """Keeps the identities of all workloads of a mesh valid. `told` gets a line on each repair."""

    def __init__(self, config: MeshConfig, state: State, told: Callable[[str], None]) -> None:
        self._config = config
        self._state = state
        self._told = told
        self._ca: LocalCA | None = None

    def prepare(self) -> None:
        """Make what is missing. CertsError when the CA is broken or of another trust domain."""
        self._ca = prepare(self._state, self._config.domain)
        self.renew()

    def renew(self) -> list[str]:
        """Issue anew what is missing, broken or runs out; returns the names of those."""
        if self._ca is None:
            raise RuntimeError("prepare() comes before renew()")
        renewed: list[str] = []
        for name, service in self._config.services.items():
            if self._sound(name, service.spiffe_id, self._ca.bundle):
                continue
            write_svid(
                self._state.identity(name), self._ca.issue(service.spiffe_id, lifetime=LIFETIME)
            )
            renewed.append(name)
        return renewed

    def _sound(self, name: str, spiffe_id: SpiffeId, bundle: TrustBundle) -> bool:
        directory = self._state.identity(name)
        if not directory.exists():
            return False
        try:
            svid = FileSource(directory, self._state.trust).current().svid
            peer = verify_peer(
                svid.chain_pem,
                svid.chain_pem,
                {bundle.trust_domain.name: bundle},
                time.time(),
            )
        except CertsError as error:
            if error.rule != "expired":
                self._told(f"the identity of {name} was unusable ({error.rule}); it is issued anew")
            return False
        return peer.id == spiffe_id and peer.not_after - time.time() > RENEW_BELOW
