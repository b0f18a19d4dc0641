"""Faults that a call can have, in the order in which the guard looks for them, and any two at once.

A Situation says what stands in the contract, what the guard knows, who calls, and what is sent;
each Fault turns a sound situation into one that its check must refuse.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from guard.scripted import KEY, SHAPES, WAIT, Script, body, message, path, servicer
from meshpact.interceptors.identity import Peers
from meshpact.interceptors.remote_keys import RemoteKeys
from meshpact.interceptors.tokens import Issuer, Tokens
from meshpact.mesh.model import NetworkLists
from meshpact.mesh.networks import Networks
from meshpact.policy.v1 import policy_pb2 as pb
from meshpact.testing.hosting import AUDIENCE, Kind, Workbench
from meshpact.testing.rawanswer import Answer
from meshpact.testing.rawwire import ClientIdentity, RawConnection, grpc_message
from meshpact.testing.tokens import TokenIssuer

ROLE: Final = "demo.caller"
_LARGE: Final = b"\x7a\xc8\x01" + b"." * 200  # an unknown field of 200 bytes


@dataclass(frozen=True)
class Situation:
    """Sound as it is by default: a caller with the role makes a valid call."""

    suffix: str = ""
    """What is added to the path."""
    peers: str = "sound"
    """Or "none": the server knows no identities; "ahead": its clock is two hours ahead."""
    leaf: str = "sound"
    """Or "double": the caller's leaf has two URI SANs."""
    network: bool = True
    user: bool = False
    """Whether the method demands an end user."""
    scopes: tuple[str, ...] = ()
    token: str = "sound"
    """Or "missing", "invalid", "expired", "bound", "unverifiable"."""
    workload: str = "caller"
    metadata: tuple[tuple[str, bytes], ...] = ()
    rate: bool = False
    """One call an hour, and it was made."""
    busy: bool = False
    """One call at once, and it runs."""
    large: bool = False
    broken: bool = False
    invalid: bool = False


@dataclass(frozen=True)
class Fault:
    """One fault, the check that finds it (by its place in the order) and the refusal."""

    reason: str
    code: str
    stage: int
    apply: Callable[[Situation], Situation]


def _fault(reason: str, code: str, stage: int, **changes: Any) -> Fault:
    return Fault(reason, code, stage, lambda situation: replace(situation, **changes))


def _adding(reason: str, code: str, stage: int, key: str, value: bytes) -> Fault:
    return Fault(
        reason,
        code,
        stage,
        lambda situation: replace(situation, metadata=(*situation.metadata, (key, value))),
    )


FAULTS: Final = (
    _fault("METHOD_UNKNOWN", "UNIMPLEMENTED", 0, suffix="X"),
    _fault("IDENTITY_MISSING", "UNAUTHENTICATED", 1, peers="none"),
    _fault("IDENTITY_INVALID", "UNAUTHENTICATED", 1, leaf="double"),
    _fault("SVID_EXPIRED", "UNAUTHENTICATED", 1, peers="ahead"),
    _fault("NETWORK_DENIED", "PERMISSION_DENIED", 2, network=False),
    _fault("TOKEN_MISSING", "UNAUTHENTICATED", 3, user=True, token="missing"),
    _fault("TOKEN_INVALID", "UNAUTHENTICATED", 3, user=True, token="invalid"),
    _fault("TOKEN_EXPIRED", "UNAUTHENTICATED", 3, user=True, token="expired"),
    _fault("TOKEN_BINDING_MISMATCH", "UNAUTHENTICATED", 3, user=True, token="bound"),
    _fault("KEYS_UNAVAILABLE", "UNAVAILABLE", 3, user=True, token="unverifiable"),
    _fault("ROLE_MISSING", "PERMISSION_DENIED", 4, workload="stranger"),
    _fault("SCOPE_MISSING", "PERMISSION_DENIED", 5, user=True, scopes=("demo.write",)),
    _adding("METADATA_INVALID", "INVALID_ARGUMENT", 6, "x-a", b"a\0b"),
    _adding("METADATA_TOO_LARGE", "RESOURCE_EXHAUSTED", 7, "x-b", b"a" * 20_000),
    _fault("RATE_LIMITED", "RESOURCE_EXHAUSTED", 8, rate=True),
    _fault("OVERLOADED", "UNAVAILABLE", 9, busy=True),
    _fault("MESSAGE_TOO_LARGE", "RESOURCE_EXHAUSTED", 10, large=True),
    _fault("MALFORMED_REQUEST", "INTERNAL", 11, broken=True),
    _fault("INVALID_REQUEST", "INVALID_ARGUMENT", 12, invalid=True),
)


def perform(bench: Workbench, kind: Kind, shape: str, situation: Situation) -> Answer:
    """Makes the situation real on a server of its own, and the call in it."""
    bench.roles.set({bench.id_of("caller"): frozenset({ROLE})})
    script = Script()
    with bench.serving(
        kind,
        lambda: [servicer(kind, script)],
        guard=bench.guard(**_knowledge(bench, situation)),
        overlay={path(shape)[1:]: _policy(situation)},
    ) as port:
        try:
            with RawConnection(
                ("127.0.0.1", port), _identity(bench, situation), bench.server_name
            ) as wire:
                return _call(bench, wire, shape, situation, script)
        finally:
            script.go.set()


def _call(
    bench: Workbench, wire: RawConnection, shape: str, situation: Situation, script: Script
) -> Answer:
    clean = replace(situation, metadata=())
    if situation.busy:
        held = wire.open(path(shape), _metadata(bench, clean))
        wire.send(held, message(shape, WAIT), end=True)
        if _lets_in(situation):
            assert script.entered.wait(30)
    elif situation.rate:
        wire.call(path(shape), message(shape, KEY), _metadata(bench, clean))
    sent = body(shape, 5000 if shape == "client" else 200_000 if shape == "server" else KEY)
    if shape in ("unary", "bidi") or not situation.invalid:
        sent = body(shape, KEY)
        if situation.invalid:
            sent += b"\x0a\x41" + b"1" * 65
    sent += _LARGE * situation.large + b"\xff\xff\xff\xff" * situation.broken
    return wire.call(
        path(shape) + situation.suffix, grpc_message(sent), _metadata(bench, situation)
    )


def _lets_in(situation: Situation) -> bool:
    """Whether the call that should keep the server busy gets into its handler."""
    return (
        situation.peers == "sound"
        and situation.leaf == "sound"
        and situation.network
        and situation.workload == "caller"
        and (not situation.user or situation.token == "sound")
        and not situation.scopes
    )


def _policy(situation: Situation) -> pb.Policy:
    policy = pb.Policy()
    if situation.user:
        policy.access.roles.append(ROLE)
        policy.access.end_user = pb.END_USER_REQUIRED
        policy.access.scopes.extend(situation.scopes)
    if situation.rate:
        policy.rate.requests = 1
        policy.rate.per.seconds = 3600
    if situation.busy:
        policy.concurrency.max = 1
    if situation.large:
        policy.message_size.request_bytes = 150
    return policy


def _knowledge(bench: Workbench, situation: Situation) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if situation.peers == "none":
        parts["peers"] = None
    if situation.peers == "ahead":
        parts["peers"] = Peers(bench.source("guard"), wall=lambda: time.time() + 7200)
    if not situation.network:
        parts["networks"] = Networks(NetworkLists(mesh=("10.0.0.0/8", "::1/128")))
    if situation.token == "unverifiable":
        nowhere = RemoteKeys("http://127.0.0.1:9/jwks.json")
        issuer = Issuer(bench.issuer.name, nowhere, frozenset({AUDIENCE}), frozenset({"ES256"}))
        parts["tokens"] = Tokens([issuer])
    return parts


def _identity(bench: Workbench, situation: Situation) -> ClientIdentity:
    if situation.leaf == "sound":
        return bench.client(situation.workload)
    leaf = bench.authority.issue(
        situation.workload, uris=[bench.id_of(name) for name in ("caller", "other")]
    )
    return ClientIdentity(leaf.chain_pem, leaf.key_pem, bench.authority.roots_pem)


def _metadata(bench: Workbench, situation: Situation) -> tuple[tuple[str, bytes], ...]:
    if not situation.user or situation.token == "missing":
        return situation.metadata
    issuer = bench.issuer
    claims: dict[str, object] = {}
    if situation.token == "invalid":
        issuer = TokenIssuer(bench.issuer.name)
    if situation.token == "bound":
        claims = {"cnf": {"x5t#S256": thumbprint(bench.client("other").chain_pem)}}
    lifetime = -30.0 if situation.token == "expired" else 600.0
    token = issuer.mint(
        "alice", audience=[AUDIENCE], scopes=["demo.read"], lifetime=lifetime, claims=claims
    )
    return (("authorization", f"Bearer {token}".encode()), *situation.metadata)


def thumbprint(chain_pem: bytes) -> str:
    """The `x5t#S256` of a chain's leaf (RFC 8705 section 3.1)."""
    der = x509.load_pem_x509_certificate(chain_pem).public_bytes(Encoding.DER)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


KINDS: Final[tuple[Kind, ...]] = ("aio", "sync")
ALL_SHAPES: Final = tuple(SHAPES)
