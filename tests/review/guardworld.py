"""Whole guards of any contracts and any mesh.yaml, and calls that meet them: real certificates,
real tokens, real messages. Only the connection is not there."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import protovalidate
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message_factory import GetMessageClass

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.source import FixedSource, Identity
from meshpact.certs.spiffe import TrustDomain
from meshpact.certs.svid import X509Svid
from meshpact.certs.thumbprint import certificate_thumbprint
from meshpact.contracts.image import Image
from meshpact.interceptors import validation
from meshpact.interceptors.access import BindingsSource
from meshpact.interceptors.call import MetadataPairs
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.guard import Guard, GuardedMethod, Running
from meshpact.interceptors.identity import Peers
from meshpact.interceptors.spec import MethodSpec
from meshpact.interceptors.tokens import Tokens
from meshpact.mesh.networks import Networks
from meshpact.testing.authority import Authority
from meshpact.testing.tokens import TokenIssuer, key_set

DOMAIN: Final = TrustDomain("acme.example")
ISSUER: Final = "https://issuer.meshpact.localhost"
HERE: Final = "ipv4:127.0.0.1:5000"


@dataclass(frozen=True)
class Token:
    """What an access token says. `bound` is the ID of the workload whose certificate it is bound
    to."""

    user: str
    audience: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    bound: str = ""
    algorithm: str = "ES256"


@dataclass(frozen=True)
class Caller:
    """A workload by its SPIFFE ID ("" for none), what it brings, and its peer in grpc's words."""

    workload: str
    token: Token | None = None
    peer: str = HERE
    metadata: MetadataPairs = ()


@functools.cache
def folder() -> Path:
    """Where the CA and the keys of this process are."""
    made = Path(tempfile.mkdtemp(prefix="meshpact-review-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@functools.cache
def _authority() -> Authority:
    return Authority(str(DOMAIN))


@functools.cache
def peers() -> Peers:
    """What verifies the certificates of callers."""
    leaf = _authority().issue("server")
    bundle = TrustBundle(DOMAIN, (_authority().root,))
    svid = X509Svid.from_pem(leaf.chain_pem, leaf.key_pem)
    return Peers(FixedSource(Identity(svid, {str(DOMAIN): bundle})))


@functools.cache
def certificate(workload: str) -> tuple[bytes, bytes]:
    """The leaf and the chain that a workload shows."""
    issued = _authority().issue(uris=[workload], dns=[f"caller.{DOMAIN}"])
    svid = X509Svid.from_pem(issued.chain_pem, issued.key_pem)
    return svid.leaf_pem, svid.chain_pem


@functools.cache
def _issuer(algorithm: str) -> TokenIssuer:
    return TokenIssuer(ISSUER, key_id=algorithm, algorithm=algorithm)


@functools.cache
def keys() -> Path:
    """A key set with a key for each algorithm that tokens are signed by here."""
    path = folder() / "jwks.json"
    path.write_text(key_set(_issuer("ES256"), _issuer("ES384")))
    return path


@functools.cache
def minted(token: Token) -> str:
    """A signed token."""
    claims: dict[str, object] = {}
    if token.bound:
        claims["cnf"] = {"x5t#S256": certificate_thumbprint(certificate(token.bound)[0])}
    return _issuer(token.algorithm).mint(
        token.user,
        audience=token.audience,
        scopes=token.scopes,
        groups=token.groups,
        lifetime=3600,
        claims=claims,
    )


class Clock:
    """A clock that stands until it is moved."""

    now = 1e6

    def __call__(self) -> float:
        return self.now


class Contracts:
    """The methods of an image, each to be put under a guard."""

    def __init__(self, image: Image) -> None:
        self._pool = DescriptorPool()
        for file in image.files:
            self._pool.AddSerializedFile(file.SerializeToString())
        # A validator knows one type of a name: each side has its own.
        self._validator = protovalidate.Validator()

    def message(self, name: str) -> Any:
        """The class of a message."""
        return GetMessageClass(self._pool.FindMessageTypeByName(name))

    def violations(self, message: Any) -> list[Any]:
        """What protovalidate finds in a message of this side."""
        return list(self._validator.collect_violations(message))

    def spec(self, name: str, *, bare: bool = False) -> MethodSpec[Any, Any]:
        """A method, `package.Service/Method`; a bare one takes messages without any rules."""
        service, _, method = name.rpartition("/")
        found = self._pool.FindServiceByName(service).methods_by_name[method]
        if bare:
            return MethodSpec(found, method, Empty, Empty)
        request, response = (GetMessageClass(e) for e in (found.input_type, found.output_type))
        return MethodSpec(found, method, request, response)

    def guarded(self, guard: Guard, spec: MethodSpec[Any, Any]) -> GuardedMethod:
        """A method under a guard."""
        setattr(validation, "_validator", self._validator)  # noqa: B010  (it is private)
        return guard.compile(spec)


class Guarded:
    """One method under the guard of one server."""

    def __init__(
        self,
        contracts: Contracts,
        name: str,
        *,
        bindings: BindingsSource,
        tokens: Tokens | None = None,
        networks: Networks | None = None,
        service: str = "",
        bare: bool = True,
    ) -> None:
        self._clock = Clock()
        guard = Guard(
            service=service,
            peers=peers(),
            bindings=bindings,
            tokens=tokens,
            networks=networks,
            clock=self._clock,
        )
        self.spec = contracts.spec(name, bare=bare)
        self._method = contracts.guarded(guard, self.spec)

    def lets_in(self, caller: Caller) -> bool:
        """Whether a call begins, long after any other."""
        return self.begins(caller, self._clock.now + 1e6)

    def begins(self, caller: Caller, at: float, *, runs_on: bool = False) -> bool:
        """Whether a call begins at a time in seconds; unless it runs on it ends at once."""
        self._clock.now = at
        call = self._begin(caller)
        if call.slot is not None and not runs_on:
            call.slot.release()
        return call.denial is None

    def accepts(self, body: bytes) -> bool:
        """Whether a request is taken."""
        return not self.refusal(body)

    def refusal(self, body: bytes) -> str:
        """The reason for which a request is refused, "" when it is taken."""
        try:
            self._method.accept(body)
        except StatusError as refusal:
            return refusal.reason
        return ""

    def _begin(self, caller: Caller) -> Running:
        wire = _Wire(caller)
        pairs = tuple(wire.invocation_metadata())
        call = self._method.begin(wire, pairs, True, None)
        assert isinstance(call, Running), "keys are in files"
        assert call.denial is None or call.denial.code.name != "INTERNAL", call.denial
        return call


class _Wire:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def invocation_metadata(self) -> MetadataPairs:
        token = self._caller.token
        if token is None:
            return self._caller.metadata
        return (("authorization", f"Bearer {minted(token)}"), *self._caller.metadata)

    def auth_context(self) -> Mapping[str, Any]:
        if not self._caller.workload:
            return {}
        leaf, chain = certificate(self._caller.workload)
        return {"x509_pem_cert": (leaf,), "x509_pem_cert_chain": (chain,)}

    def time_remaining(self) -> float | None:
        return 1.0

    def peer(self) -> str:
        return self._caller.peer


Ways = set[str]


def ways(before: Callable[[Any], bool], after: Callable[[Any], bool], tried: Sequence[Any]) -> Ways:
    """What becomes of calls: "refused" what was accepted, "accepted" what was refused."""
    found: Ways = set()
    for each in tried:
        one, two = before(each), after(each)
        if one != two:
            found.add("accepted" if two else "refused")
    return found
