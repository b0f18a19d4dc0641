"""Two services behind real TLS, on one kind of server: callers -> relay -> ward."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable
from typing import Any

from demo.v1 import relay_mesh
from demo.v1 import relay_pb2 as pb
from meshpact.certs.source import IdentitySource
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.thumbprint import certificate_thumbprint
from meshpact.clients import Channel, ChannelSync
from meshpact.clients.forwarding import ALONE, Forwarding
from meshpact.interceptors.guard import Guard
from meshpact.testing.hosting import AUDIENCE, Kind, Workbench
from relayservice import Relay, RelaySync, Ward, WardSync

CALLER, RELAY, WARD = "caller", "relay", "ward"
WARD_AUDIENCE = "https://ward.demo.test"
"""What the contract demands of tokens for Confide."""


class Stage:
    """A running pair of services. `reached` are the ward's methods that were called."""

    def __init__(self, bench: Workbench, kind: Kind) -> None:
        self.bench = bench
        self.kind: Kind = kind
        self.reached: list[str] = []
        self.identity = bench.source(CALLER)
        self._relay = self._ward = ""

    @contextlib.contextmanager
    def running(
        self,
        forwarding: Forwarding = ALONE,
        ward_guard: Guard | None = None,
        relay_guard: Guard | None = None,
    ) -> Generator[Stage]:
        """Serves both while the context lasts."""
        bench = self.bench
        bench.roles.set({bench.id_of(name): ["demo.caller"] for name in (CALLER, RELAY)})
        with contextlib.ExitStack() as stack:
            ward: Any = Ward if self.kind == "aio" else WardSync
            port = stack.enter_context(
                bench.serving(
                    self.kind,
                    lambda: [ward(self.reached)],
                    identity=bench.source(WARD),
                    guard=ward_guard,
                )
            )
            self._ward = f"127.0.0.1:{port}"
            callee = SpiffeId.parse(bench.id_of(WARD))
            opened: list[Any] = []

            def relay() -> Any:
                made: Any = Channel if self.kind == "aio" else ChannelSync
                channel = made(
                    self._ward, identity=bench.source(RELAY), callee=callee, forwarding=forwarding
                )
                opened.append(channel)
                return Relay(channel) if self.kind == "aio" else RelaySync(channel)

            relay_port = stack.enter_context(
                bench.serving(
                    self.kind, lambda: [relay()], identity=bench.source(RELAY), guard=relay_guard
                )
            )
            if self.kind == "sync":
                stack.callback(opened[0].close)
            self._relay = f"127.0.0.1:{relay_port}"
            yield self

    def token(self, user: str = "ursula", **how: Any) -> str:
        """A token that every service takes."""
        settings: dict[str, Any] = {"audience": [AUDIENCE], "scopes": ["demo.read"]}
        return self.bench.issuer.mint(user, **(settings | how))

    def bound_token(self) -> str:
        """A token that is bound to the caller's certificate."""
        thumbprint = certificate_thumbprint(self.identity.current().svid.chain_pem)
        return self.token(claims={"cnf": {"x5t#S256": thumbprint}})

    def relay(
        self,
        method: str,
        token: str = "",
        *,
        explicit: str = "",
        late: bool = False,
        raises: bool = False,
        timeout: float | None = None,
    ) -> pb.RelayResponse:
        """Has the relay call a method of the ward, for the holder of the token."""
        callee = SpiffeId.parse(self.bench.id_of(RELAY))
        with ChannelSync(self._relay, identity=self.identity, callee=callee) as channel:
            return relay_mesh.RelayServiceClientSync(channel).relay(
                pb.RelayRequest(method=method, token=explicit, late=late, raises=raises),
                token=token,
                timeout=timeout,
            )

    def relay_many(self, methods: Iterable[str], token: str = "") -> list[pb.RelayResponse]:
        """The same for several methods, over one stream, each asked when the last was answered."""
        callee = SpiffeId.parse(self.bench.id_of(RELAY))
        with ChannelSync(self._relay, identity=self.identity, callee=callee) as channel:
            answers = relay_mesh.RelayServiceClientSync(channel).relay_many(
                (pb.RelayManyRequest(relay=pb.RelayRequest(method=name)) for name in methods),
                token=token,
            )
            return [answer.relay for answer in answers]

    @contextlib.contextmanager
    def ward(
        self, identity: IdentitySource | None = None
    ) -> Generator[relay_mesh.WardServiceClientSync]:
        """A client of the ward itself, as the caller or with another identity."""
        callee = SpiffeId.parse(self.bench.id_of(WARD))
        with ChannelSync(self._ward, identity=identity or self.identity, callee=callee) as channel:
            yield relay_mesh.WardServiceClientSync(channel)
