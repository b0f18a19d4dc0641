"""What these tests stand on: an endpoint in this process, and processes as `/proc` would show them.

The tests themselves are the caller, whom the kernel names at the public socket; what `/proc` says
of them is written by hand.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from meshpact.certs.ca import LocalCA
from meshpact.certs.identity import Identity
from meshpact.certs.jwtauthority import JwtAuthority
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.servers.workloadapi.attestation import Peer, ProcessTable, Workloads
from meshpact.servers.workloadapi.endpoint import Serving, served
from meshpact.testing.sources import PushedSource

DOMAIN = TrustDomain("demo.test")
OTHER = TrustDomain("other.test")
ALPHA = SpiffeId.for_service(DOMAIN, "alpha")
START = 4711
NOW = 1_800_000_000.0


class Proc:
    """A `/proc` of one's own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.table = ProcessTable(root)

    def add(self, pid: int, *, start: int = START, session: int = 0, state: str = "S") -> Peer:
        """A process, which leads its session unless said otherwise."""
        (self.root / str(pid)).mkdir(parents=True, exist_ok=True)
        fields = [state, "1", str(pid), str(session or pid), *"0" * 15, str(start), "0"]
        (self.root / str(pid) / "stat").write_text(f"{pid} (a) b) (c) {' '.join(fields)}\n")
        return Peer(pid, start)

    def remove(self, pid: int) -> None:
        """The process has ended."""
        shutil.rmtree(self.root / str(pid))


@dataclass
class World:
    """A running endpoint whose one workload, alpha, is this process."""

    home: Path
    proc: Proc
    workloads: Workloads
    source: PushedSource
    authority: JwtAuthority
    ca: LocalCA
    other: LocalCA
    now: list[float] = field(default_factory=lambda: [NOW])
    serving: Serving | None = None

    @property
    def path(self) -> Path:
        return self.home / "api.sock"

    @property
    def address(self) -> str:
        """For gRPC, and for SPIFFE_ENDPOINT_SOCKET."""
        return f"unix://{self.path}"

    @property
    def running(self) -> Serving:
        assert self.serving is not None
        return self.serving

    @property
    def me(self) -> Peer:
        return Peer(os.getpid(), START)

    def identity(self, *, federated: bool = True) -> Identity:
        """A new one for alpha."""
        bundles = {str(DOMAIN): self.ca.bundle}
        if federated:
            bundles[str(OTHER)] = self.other.bundle
        return Identity(self.ca.issue(ALPHA), bundles)

    def wall(self) -> float:
        return self.now[0]


@asynccontextmanager
async def endpoint(*, known: bool = True) -> AsyncGenerator[World]:
    """The endpoint; with `known`, this process is a workload that was started."""
    with tempfile.TemporaryDirectory(prefix="wl-") as folder:
        home = Path(folder)
        proc = Proc(home / "proc")
        ca = LocalCA.init(home / "ca", DOMAIN)
        other = LocalCA.init(home / "other", OTHER)
        identity = Identity(ca.issue(ALPHA), {str(DOMAIN): ca.bundle, str(OTHER): other.bundle})
        world = World(
            home,
            proc,
            Workloads(proc.table),
            PushedSource(identity),
            JwtAuthority(home / "jwt", DOMAIN, NOW),
            ca,
            other,
        )
        me = proc.add(os.getpid())
        if known:
            world.workloads.add(me, "alpha")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(world.path))
            listener.listen(256)
            async with served(
                listener,
                home / "inner.sock",
                world.workloads,
                {"alpha": world.source}.__getitem__,
                world.authority,
                table=proc.table,
                wall=world.wall,
            ) as serving:
                world.serving = serving
                yield world


async def until(holds: Callable[[], bool]) -> None:
    """Returns when `holds` does, which what was done before leads to without more ado."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110  (what is waited for tells nobody)
            await asyncio.sleep(0.002)
