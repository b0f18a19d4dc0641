"""What the guard would decide if the caller were somebody: its own admission, with the identity and
perhaps the user assumed instead of proven. No counts: rate and concurrency are left out."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from meshpact.contracts.access.methods import AccessMethod
from meshpact.interceptors.access import Bindings
from meshpact.interceptors.admission import Running, compile_admission
from meshpact.interceptors.call import Caller, EndUser, MetadataPairs, MetadataValue
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.identity import Peer, Peers
from meshpact.interceptors.keys import KeysError
from meshpact.interceptors.network import Check
from meshpact.interceptors.tokencache import Verified
from meshpact.interceptors.tokens import Tokens

BEARER: Final = "Bearer "


@dataclass(frozen=True)
class Decision:
    """`allow`, `deny` or `would_deny`; `error` is the refusal, `reason` also that of would_deny."""

    decision: str
    reason: str = ""
    error: StatusError | None = None

    @property
    def lets_in(self) -> bool:
        """Whether the call goes on."""
        return self.decision != "deny"


@dataclass(frozen=True)
class Proof:
    """What a caller shows beside the identity that is assumed. `peer` is grpc's notation of where
    it comes from, `certificate` the PEM of its leaf."""

    token: str = ""
    peer: str = ""
    metadata: MetadataPairs = ()
    certificate: bytes = b""


class Assumed:
    """The admission of one method for callers that are assumed.

    `tokens` verifies what comes as a token; without it the user is assumed, too. `reachable` None:
    addresses are not looked at.
    """

    def __init__(
        self,
        method: AccessMethod,
        bindings: Bindings,
        *,
        reachable: Check | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self._peers = _AnyPeer()
        self._users = _AnyUser()
        self._begin = compile_admission(
            f"/{method.name}",
            replace(method.policy, rate=None, concurrency=None),
            peers=self._peers,
            bindings=_Still(bindings),
            reachable=reachable,
            verifier=tokens or self._users,
            start=None,
            max_metadata=2**31,
            registry=None,
            clock=time.monotonic,
        )

    def decide(self, workload: str, user: EndUser | None = None) -> Decision:
        """Whether a workload ("" for one without identity) may call, with a user perhaps."""
        self._users.user = user
        # The admission remembers whom it found by certificate and token: each caller has its own.
        certificate = f"{workload}{' ' * 32}".encode()
        token = _named(user) if user is not None else ""
        return self.judge(workload, Proof(token=token, certificate=certificate))

    def judge(self, workload: str, proof: Proof) -> Decision:
        """Whether a workload may call with what it shows."""
        self._peers.workload = workload
        wire = _Wire(proof)
        pairs = tuple(wire.invocation_metadata())
        call = self._begin(wire, pairs, False, None)
        if not isinstance(call, Running):
            with contextlib.suppress(KeysError):  # the guard says that there are no keys
                call.refresh()
            call = self._begin(wire, pairs, True, None)
            assert isinstance(call, Running), "what was refreshed is fresh"
        if call.denial is not None:
            return Decision("deny", call.denial.reason, call.denial)
        return Decision("would_deny" if call.verdict else "allow", call.verdict)


@dataclass(frozen=True)
class _Still:
    """Bindings that nobody changes."""

    current: Bindings

    def subscribe(self, callback: Callable[[], None], /) -> Callable[[], None]:
        return lambda: None


class _AnyPeer(Peers):
    """Verifies whoever is set as who they are."""

    def __init__(self) -> None:
        self.workload = ""

    def verify(self, leaf: bytes, chain: bytes) -> tuple[Peer, float] | StatusError:
        if not self.workload:
            return super().verify(b"", b"")
        return Peer(leaf, chain, Caller(self.workload), 0, math.inf), math.inf


class _AnyUser(Tokens):
    """Takes any token for one of whoever is set, and for the right audience."""

    def __init__(self) -> None:
        super().__init__(())
        self.user: EndUser | None = None

    def find(self, header: str, *, fresh: bool) -> Verified:
        assert self.user is not None, "a token comes with a user"
        return Verified(self.user, "", math.inf)

    def admit(self, found: Verified, audience: str, bound: bool, leaf_pem: bytes) -> None:
        pass


def _named(user: EndUser) -> str:
    """A text that stands for a user: two have never the same one."""
    who = user.issuer, user.subject, sorted(user.groups), sorted(user.scopes)
    return sha256(json.dumps(who).encode()).hexdigest()


class _Wire:
    """A call that never was."""

    def __init__(self, proof: Proof) -> None:
        self._proof = proof

    def invocation_metadata(self) -> Iterable[tuple[str, MetadataValue]]:
        if self._proof.token:
            yield "authorization", f"{BEARER}{self._proof.token}"
        yield from self._proof.metadata

    def auth_context(self) -> Mapping[str, Any]:
        return {"x509_pem_cert": (self._proof.certificate,)}

    def time_remaining(self) -> float | None:
        return 1.0

    def peer(self) -> str:
        return self._proof.peer
