"""What the processes of a mesh need on disk: a CA, trust bundle, identities, a token issuer.

Everything is made when it is missing and made anew when it is broken or runs out, except the CA:
what others may trust already is never replaced behind a person's back. While the mesh runs, the
files follow the CA's rotation, bundles first, and leaves are renewed at half their lifetime.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from meshpact.certs.ca import LocalCA, sync_bundle, write_svid
from meshpact.certs.errors import CertsError
from meshpact.certs.source import KEY_FILE, FileSource
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.verify import verify_peer
from meshpact.mesh.config import MeshConfig
from meshpact.mesh.local import prepare
from meshpact.mesh.state import State

LOOK: Final = 0.5
"""Seconds between two looks at the CA, and at what is due."""
REPAIR: Final = 60.0
"""Seconds after which all identities are looked at, due or not: somebody may have broken one."""
_OTHERS: Final = 0o077


class Identities:
    """Keeps the identities of all workloads of a mesh valid. `told` gets a line on each repair.

    `wall` tells the time in seconds since the epoch.
    """

    def __init__(
        self,
        config: MeshConfig,
        state: State,
        told: Callable[[str], None],
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._state = state
        self._told = told
        self._wall = wall
        self._lifetime = config.identity.lifetime
        self._ca: LocalCA | None = None
        self._due = 0.0

    def prepare(self) -> None:
        """Make what is missing. CertsError when the CA is broken or of another trust domain."""
        self._ca = prepare(self._state, self._config.domain)
        self.renew()

    def follow(self) -> list[str]:
        """Does what is to be done by now; returns the names of the identities that are new.

        Costs nothing most of the time; called every LOOK seconds. CertsError and OSError when the
        CA cannot be used: everything stays as it is then.
        """
        if not self._prepared().refresh() and self._wall() < self._due:
            return []
        return self.renew()

    def renew(self) -> list[str]:
        """Issue anew what is missing, broken, half through its time, or not of the root that signs;
        returns the names of those."""
        ca = self._prepared()
        self._due = 0.0  # what fails below is tried again at the next look
        if sync_bundle(self._state.trust, ca):
            self._told("the trust bundle follows the CA")
        renewed: list[str] = []
        due = self._wall() + REPAIR
        for name, service in self._config.services.items():
            found = self._renewal(name, service.spiffe_id, ca)
            if found is None:
                svid = ca.issue(service.spiffe_id, lifetime=timedelta(seconds=self._lifetime))
                write_svid(self._state.identity(name), svid)
                renewed.append(name)
                found = svid.not_after - self._lifetime / 2
            due = min(due, found)
        self._due = due
        return renewed

    def _prepared(self) -> LocalCA:
        if self._ca is None:
            raise RuntimeError("prepare() comes first")
        return self._ca

    def _renewal(self, name: str, spiffe_id: SpiffeId, ca: LocalCA) -> float | None:
        """When the identity on disk is due (seconds since the epoch); None: it must be new now."""
        directory = self._state.identity(name)
        if not directory.exists():
            return None
        now = self._wall()
        try:
            svid = FileSource(directory, self._state.trust).current().svid
            bundles = {ca.trust_domain.name: ca.bundle}
            peer = verify_peer(svid.chain_pem, svid.chain_pem, bundles, now)
        except CertsError as error:
            if error.rule != "expired":
                self._told(f"the identity of {name} was unusable ({error.rule}); it is issued anew")
            return None
        if (directory / KEY_FILE).stat().st_mode & _OTHERS:
            self._told(f"others could read or write the key of {name}; it is issued anew")
            return None
        left = peer.not_after - now
        # One that lives longer than mesh.yaml wants is as wrong as one that is nearly over.
        if not self._lifetime / 2 < left <= self._lifetime:
            return None
        if peer.id != spiffe_id or not ca.vouches_for(svid):
            return None
        return peer.not_after - self._lifetime / 2
