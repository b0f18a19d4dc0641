"""Real servers for tests: mutual TLS, a guard, and callers of every kind, in a few lines.

with Workbench() as bench, bench.serving("aio", [Demo()]) as port:
    wire = bench.connect(port, "caller")
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.source import FixedSource, Identity
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.svid import X509Svid
from meshpact.interceptors.guard import Guard
from meshpact.interceptors.identity import Peers
from meshpact.interceptors.keys import FileKeys
from meshpact.interceptors.tokens import Issuer, Tokens
from meshpact.servers import Drain, Server, ServerSync
from meshpact.servers.mount import Servicer
from meshpact.testing.authority import Authority
from meshpact.testing.loopthread import LoopThread
from meshpact.testing.rawwire import ClientIdentity, RawConnection
from meshpact.testing.roles import StaticRoles
from meshpact.testing.tokens import TokenIssuer

Kind = Literal["aio", "sync"]
AUDIENCE: Final = "mesh"
_AT_ONCE: Final = Drain(quiet=0.0, at_most=0.0, grace=0.0)


class Workbench:
    """A trust domain with one service in it, in memory.

    `roles` says who holds which role and may be changed while a server runs; `issuer` mints the
    tokens that the guard accepts, for the audience "mesh".
    """

    def __init__(self, trust_domain: str = "test.example", service: str = "server") -> None:
        self.trust_domain = trust_domain
        self.service = SpiffeId.parse(f"spiffe://{trust_domain}/{service}")
        self.server_name = f"{service}.{trust_domain}"
        self.authority = Authority(trust_domain)
        self.roles = StaticRoles()
        self.issuer = TokenIssuer("https://issuer.test.example")
        self.bundles = {trust_domain: TrustBundle.from_pem(trust_domain, self.authority.roots_pem)}
        self._folder = tempfile.TemporaryDirectory(prefix="meshpact-test-")
        self._clients: dict[str, ClientIdentity] = {}

    def __enter__(self) -> Workbench:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def id_of(self, service: str) -> str:
        """The SPIFFE ID of a service of the trust domain, as text."""
        return f"spiffe://{self.trust_domain}/{service}"

    def source(self, service: str) -> FixedSource:
        """An identity for a server or a channel."""
        leaf = self.authority.issue(service)
        return FixedSource(Identity(X509Svid.from_pem(leaf.chain_pem, leaf.key_pem), self.bundles))

    def client(self, service: str) -> ClientIdentity:
        """A raw client's identity; the same one each time."""
        if service not in self._clients:
            self._clients[service] = self.authority.client(service)
        return self._clients[service]

    def connect(self, port: int, service: str, **options: Any) -> RawConnection:
        """A raw connection to a server of this bench, as a service of the trust domain."""
        return RawConnection(("127.0.0.1", port), self.client(service), self.server_name, **options)

    def tokens(self) -> Tokens:
        """A verifier that accepts the tokens of `issuer`."""
        keys = FileKeys(self.issuer.write_jwks(Path(self._folder.name, "jwks.json")))
        audiences, algorithms = frozenset({AUDIENCE}), frozenset({"ES256"})
        return Tokens([Issuer(self.issuer.name, keys, audiences, algorithms)])

    def guard(self, **options: Any) -> Guard:
        """A guard that knows the bench's identities, roles and tokens; `options` override."""
        parts: dict[str, Any] = {
            "peers": Peers(FixedSource(self.source("guard").current())),
            "bindings": self.roles,
            "tokens": self.tokens(),
        }
        return Guard(**(parts | options))

    @contextlib.contextmanager
    def serving(
        self,
        kind: Kind,
        servicers: Callable[[], Iterable[Servicer]],
        *,
        guard: Guard | None = None,
        drain: Drain = _AT_ONCE,
        **further: Any,
    ) -> Generator[int]:
        """Serves on a free port while the context lasts; gives the port.

        `servicers` is called where the server will run: in the loop of an aio server. `further`
        are arguments of `meshpact.servers.Server`.
        """
        settings: dict[str, Any] = {
            "identity": self.source(self.server_name.partition(".")[0]),
            "guard": guard or self.guard(),
            "drain": drain,
            **further,
        }
        if kind == "aio":
            with LoopThread() as loop:

                async def start() -> tuple[Server, int]:
                    server = Server(**settings)
                    for servicer in servicers():
                        server.add(servicer)
                    return server, await server.start()

                server, port = loop.run(start())
                try:
                    yield port
                finally:
                    loop.run(server.kill())
        else:
            threaded = ServerSync(**settings)
            for servicer in servicers():
                threaded.add(servicer)
            port = threaded.start()
            try:
                yield port
            finally:
                threaded.kill()
