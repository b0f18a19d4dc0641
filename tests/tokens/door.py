"""A real server whose methods of all four shapes demand an end user, and calls to it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Final

from guard.scripted import KEY, SHAPES, Script, message, path, servicer
from guard.watching import Watching
from meshpact.interceptors.call import EndUser, current_call
from meshpact.interceptors.keys import KeySource
from meshpact.interceptors.tokens import Asking, Issuer, Tokens
from meshpact.policy.v1 import policy_pb2 as pb
from meshpact.testing.hosting import AUDIENCE, Kind, Workbench
from meshpact.testing.rawanswer import Answer
from meshpact.testing.rawwire import RawConnection
from meshpact.testing.tokens import TokenIssuer

ROLE: Final = "demo.caller"
OWN: Final = "spiffe://test.example/server"
"""The audience that names the server alone."""
ISSUER: Final = "https://issuer.test.example"
KINDS: Final[tuple[Kind, ...]] = ("aio", "sync")
ALL_SHAPES: Final = tuple(SHAPES)


@dataclass
class Door:
    """A running server. `seen` are the users whom its handlers saw."""

    bench: Workbench
    port: int
    wires: contextlib.ExitStack
    seen: list[EndUser | None] = field(default_factory=list[EndUser | None])
    _connections: dict[str, RawConnection] = field(default_factory=dict[str, RawConnection])

    def call(
        self,
        token: str | None,
        shape: str = "unary",
        *,
        workload: str = "caller",
        timeout: str = "30S",
    ) -> Answer:
        """One call that brings a token (None: none) on a connection of its own per workload.

        `timeout` is written as gRPC does: `500m` are milliseconds.
        """
        if workload not in self._connections:
            wire = self.wires.enter_context(self.bench.connect(self.port, workload))
            self._connections[workload] = wire
        metadata: list[tuple[str, str | bytes]] = [("grpc-timeout", timeout)]
        if token is not None:
            metadata.append(("authorization", f"Bearer {token}".encode()))
        return self._connections[workload].call(path(shape), message(shape, KEY), metadata)

    @contextlib.contextmanager
    def alone(self) -> Generator[Door]:
        """The same server for a caller with connections of its own."""
        with contextlib.ExitStack() as wires:
            yield Door(self.bench, self.port, wires)

    def begin(self, token: str, shape: str = "unary") -> Callable[[], None]:
        """Makes a call and does not wait for its end; what is returned cancels it."""
        wire = self.wires.enter_context(self.bench.connect(self.port, "caller"))
        self._connections["caller"] = wire
        stream = wire.open(path(shape), (("authorization", f"Bearer {token}".encode()),))
        wire.send(stream, message(shape, KEY), end=True)
        return lambda: wire.reset(stream)

    def refusal(self, token: str | None, shape: str = "unary", *, workload: str = "caller") -> str:
        """The reason why a call is refused, "" when it is not."""
        return self.call(token, shape, workload=workload).reason


@contextlib.contextmanager
def opened(
    bench: Workbench,
    kind: Kind,
    tokens: Tokens,
    *,
    audience: str = "",
    bound: bool = False,
    scopes: Sequence[str] = (),
    optional: bool = False,
    watching: Watching | None = None,
) -> Generator[Door]:
    """Serves while the context lasts; what is said of access holds for every method."""
    bench.roles.set({bench.id_of(name): frozenset({ROLE}) for name in ("caller", "other")})
    policy = pb.Policy()
    policy.access.roles.append(ROLE)
    policy.access.end_user = pb.END_USER_OPTIONAL if optional else pb.END_USER_REQUIRED
    policy.access.audience = audience
    policy.access.bound_token = bound
    policy.access.scopes.extend(scopes)
    policy.audit.level = pb.AUDIT_LEVEL_ALL
    script = Script()
    with contextlib.ExitStack() as wires:
        port = wires.enter_context(
            bench.serving(
                kind,
                lambda: [servicer(kind, script)],
                guard=bench.guard(tokens=tokens, **(watching.options if watching else {})),
                overlay={path(shape)[1:]: policy for shape in SHAPES},
            )
        )
        door = Door(bench, port, wires)

        def see(_: int) -> None:
            call = current_call.get()
            door.seen.append(call.user if call is not None else None)

        script.act = see
        yield door


def issuer_of(
    keys: KeySource | None,
    name: str = ISSUER,
    *,
    algorithms: Sequence[str] = ("ES256",),
    token_type: str = "at+jwt",
    groups_claim: str = "groups",
    client_id: str = "",
) -> Issuer:
    """An issuer whose tokens for the mesh are accepted."""
    return Issuer(
        name,
        keys,
        frozenset({AUDIENCE}),
        frozenset(algorithms),
        token_type,
        groups_claim,
        client_id,
    )


def verifier(
    *issuers: Issuer, asking: Asking | None = None, wall: Callable[[], float] = time.time
) -> Tokens:
    """What verifies their tokens, at the service OWN."""
    return Tokens(issuers, audience=OWN, asking=asking, wall=wall)


def sound(issuer: TokenIssuer, **further: object) -> str:
    """A token of alice for the mesh; `further` are claims laid over it."""
    return issuer.mint("alice", audience=[AUDIENCE], scopes=["demo.read"], claims=further)
