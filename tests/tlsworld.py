"""A small mesh for tests of servers and clients: a local CA, identities, roles, and channels."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from meshpact.certs.ca import LocalCA
from meshpact.certs.source import FixedSource, Identity
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.clients import Channel, ChannelSync
from meshpact.interceptors.guard import Guard
from meshpact.interceptors.identity import Peers
from meshpact.interceptors.spec import ServiceSpec
from meshpact.testing.roles import StaticRoles

DOMAIN = TrustDomain("demo.test")
SERVER = "server"
ALICE = "alice"
"""Holds demo.caller."""
ADMIN = "admin"
"""Holds mesh.reflect."""
MALLORY = "mallory"
"""Holds no role."""


def spiffe_id(name: str) -> SpiffeId:
    """The ID of a workload of this mesh."""
    return SpiffeId.for_service(DOMAIN, name)


@functools.cache
def identity(name: str) -> FixedSource:
    """A workload's identity, issued by the CA that all of a test run shares."""
    ca = _ca()
    return FixedSource(Identity(ca.issue(spiffe_id(name)), {str(DOMAIN): ca.bundle}))


@functools.cache
def _ca() -> LocalCA:
    folder = tempfile.mkdtemp(prefix="meshpact-tls-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return LocalCA.init(Path(folder) / "ca", DOMAIN)


def guard() -> Guard:
    """A guard that knows this mesh."""
    return Guard(
        peers=Peers(identity(SERVER)),
        bindings=StaticRoles(
            {str(spiffe_id(ALICE)): ["demo.caller"], str(spiffe_id(ADMIN)): ["mesh.reflect"]}
        ),
    )


def channel(address: str, name: str = ALICE, *services: ServiceSpec) -> Channel:
    """A channel to the server, as a workload."""
    return Channel(address, identity=identity(name), callee=spiffe_id(SERVER), services=services)


def channel_sync(address: str, name: str = ALICE, *services: ServiceSpec) -> ChannelSync:
    """The same for threads."""
    return ChannelSync(
        address, identity=identity(name), callee=spiffe_id(SERVER), services=services
    )
