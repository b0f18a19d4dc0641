"""One trust domain with a server and a client in it, for each kind of source of identities."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Protocol

import forgedcerts as forged
from csimount import CsiMount
from fakeagent import FakeAgent, response
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.bundledocument import format_document
from meshpact.certs.ca import LocalCA, write_bundle, write_svid
from meshpact.certs.casource import LocalCASource
from meshpact.certs.federatedsource import FederatedSource
from meshpact.certs.federation import FederatedDomain, Federation
from meshpact.certs.files import write_whole
from meshpact.certs.rotation import Rotation
from meshpact.certs.source import FileSource, IdentitySource, MountedSource
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.certs.workloadapi import WorkloadApiSource

DOMAIN = TrustDomain("acme.example")
PARTNER = TrustDomain("partner.example")
SERVER, CLIENT = "inventory", "orders"
NAMES = (SERVER, CLIENT)


def spiffe_id(name: str) -> SpiffeId:
    return SpiffeId.for_service(DOMAIN, name)


class World(Protocol):
    """Sources for both workloads, and new identities for both at once."""

    settings: str
    """What mesh.yaml says for this kind of source; "-" when it has no words for it."""

    def source(self, name: str) -> IdentitySource: ...

    def rotate(self) -> None: ...


class Files:
    """Files as the state directory has them."""

    settings = ""

    def __init__(self, root: Path) -> None:
        self.root = root / ".meshpact"
        self.ca = LocalCA.init(root / "ca", DOMAIN)
        write_bundle(self.root / "trust", self.ca.bundle)
        self.rotate()

    def source(self, name: str) -> IdentitySource:
        return FileSource(self.root / "identities" / name, self.root / "trust")

    def rotate(self) -> None:
        for name in NAMES:
            write_svid(self.root / "identities" / name, self.ca.issue(spiffe_id(name)))


class Mounted:
    """Volumes as csi-driver-spiffe mounts them."""

    settings = "identity: {{files: mounts}}"

    def __init__(self, root: Path) -> None:
        self.ca = LocalCA.init(root / "ca", DOMAIN)
        self.mounts = {name: CsiMount(root / "mounts" / name) for name in NAMES}
        self.rotate()

    def source(self, name: str) -> IdentitySource:
        return MountedSource(self.mounts[name].directory)

    def rotate(self) -> None:
        for name, mount in self.mounts.items():
            mount.write(self.ca.issue(spiffe_id(name)), self.ca.bundle)


class Agent:
    """A Workload API, which gives both identities to this process."""

    settings = "identity: {{workload_api: 'unix://{root}/agent.sock'}}"

    def __init__(self, root: Path, closing: contextlib.ExitStack) -> None:
        self.closing = closing
        self.ca = LocalCA.init(root / "ca", DOMAIN)
        self.agent = closing.enter_context(FakeAgent(root / "agent.sock"))
        self.rotate()

    def source(self, name: str) -> IdentitySource:
        return self.closing.enter_context(
            WorkloadApiSource(self.agent.address, workload=spiffe_id(name), wait=60)
        )

    def rotate(self) -> None:
        svids = [self.ca.issue(spiffe_id(name)) for name in NAMES]
        self.agent.push(response(svids, self.ca.bundle))


class Local:
    """A CA in this process. Its rotation is what brings new identities before their time."""

    settings = "-"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ca = LocalCA.init(root / "ca", DOMAIN)
        self.ahead = 0.0

    def source(self, name: str) -> IdentitySource:
        return LocalCASource(
            LocalCA.load(self.root / "ca"), spiffe_id(name), wall=lambda: time.time() + self.ahead
        )

    def rotate(self) -> None:
        rotation = Rotation(
            self.root / "ca", trust=self.root / "trust", identities=self.root / "identities"
        )
        rotation.prepare()
        rotation.activate(force=True)
        self.ahead += 1.0


class Federated:
    """Files, with the bundle of another domain beside their own."""

    settings = "federation: {{partner.example: {{bundle: partner.json}}}}"

    def __init__(self, root: Path, closing: contextlib.ExitStack) -> None:
        self.files = Files(root)
        self.path = root / "partner.json"
        self.sequence = 0
        self.publish()
        domain = FederatedDomain(PARTNER, str(self.path))
        self.federation = closing.enter_context(contextlib.closing(Federation(DOMAIN, [domain])))

    def publish(self) -> None:
        self.sequence += 1
        bundle = TrustBundle(PARTNER, (forged.root(PARTNER.name).certificate,))
        write_whole(self.path, format_document(bundle, sequence=self.sequence))

    def source(self, name: str) -> IdentitySource:
        return FederatedSource(self.files.source(name), self.federation)

    def rotate(self) -> None:
        self.publish()
        self.files.rotate()


Open = Callable[[Path, contextlib.ExitStack], World]
WORLDS: dict[str, Open] = {
    "files": lambda root, _: Files(root),
    "mounted": lambda root, _: Mounted(root),
    "workload-api": Agent,
    "local-ca": lambda root, _: Local(root),
    "federated": Federated,
}


@contextlib.contextmanager
def opened(kind: str, root: Path) -> Generator[World]:
    """A world while the context lasts; all that it opened is closed then."""
    with contextlib.ExitStack() as closing:
        yield WORLDS[kind](root, closing)
