"""A CA, its trust bundle and its workloads' directories on disk, for the tests of rotation."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.ca import LocalCA, sync_bundle, write_svid
from meshpact.certs.rotation import Rotation, Settling
from meshpact.certs.source import FileSource
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.verify import verify_peer

DOMAIN = "acme.example"
AT_ONCE = timedelta(0)


class World:
    """The files of one mesh. `settle`, `connections` and `followers` are those of its rotations."""

    def __init__(
        self, root: Path, settle: timedelta = AT_ONCE, *, passphrase: bytes | None = None
    ) -> None:
        self.root = root
        self.settle = settle
        self.connections = AT_ONCE
        self.followers: frozenset[str] = frozenset()
        self.ca = LocalCA.init(root / "ca", DOMAIN, passphrase=passphrase)
        if not (root / "trust").exists():
            sync_bundle(root / "trust", self.ca)

    @property
    def rotation(self) -> Rotation:
        """The rotation as another process sees it."""
        return Rotation(
            self.root / "ca",
            trust=self.root / "trust",
            identities=self.root / "identities",
            settling=Settling(self.settle, self.connections, self.followers),
        )

    def identity(self, name: str) -> Path:
        """The directory of a workload."""
        return self.root / "identities" / name

    def issue(self, *names: str) -> None:
        """Gives workloads new certificates."""
        for name in names:
            svid = LocalCA.load(self.root / "ca").issue(SpiffeId.for_service(DOMAIN, name))
            write_svid(self.identity(name), svid)

    def bundle(self) -> TrustBundle:
        """The trust bundle as it lies on disk."""
        return TrustBundle.from_pem(DOMAIN, (self.root / "trust" / f"{DOMAIN}.pem").read_bytes())

    def works(self, *names: str) -> bool:
        """Whether all workloads have files that load, and trust each other's certificates."""
        for name in names:
            identity = FileSource(self.identity(name), self.root / "trust").current()
            verify_peer(
                identity.svid.leaf_pem, identity.svid.chain_pem, identity.bundles, time.time()
            )
        return True
