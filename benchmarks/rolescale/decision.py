"""The decision on a call at 10 and at 100,000 role bindings, as the guard takes it.

It is the guard's whole admission, from the certificate of a connection to the verdict. Before each
call the bindings count as others than before, so that nothing that was found for the last call of a
caller is believed for the next. Chunks of each variant in turn, in an order drawn anew each round;
CPU time of this process.
"""

from __future__ import annotations

import itertools
import random
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.source import FixedSource, Identity
from meshpact.certs.svid import X509Svid
from meshpact.interceptors.access import compile_access
from meshpact.interceptors.admission import Running, compile_admission
from meshpact.interceptors.call import MetadataPairs
from meshpact.interceptors.identity import Peers
from meshpact.interceptors.policy import Access, AuditLevel, MethodPolicy
from meshpact.mesh.bindings import Reloader
from meshpact.testing.authority import Authority
from overhead.figures import Row, Samples, microseconds, ratio
from rolescale.bindings import CALLERS, ROLE, TRUST_DOMAIN, write_mesh

FEW: Final = 10
MANY: Final = 100_000
GOAL: Final = 1.10
CHUNK: Final = 1000
ROUNDS: Final = 400
ROUNDS_QUICK: Final = 120

_POLICY: Final = MethodPolicy(
    access=Access(roles=frozenset({ROLE, "measure.nobody"})),
    default_deadline=1.0,
    max_deadline=5.0,
    audit=AuditLevel.DENIALS,
)
_METHOD: Final = "measure.v1.Measure/Check"
_PAIRS: Final[MetadataPairs] = (
    ("user-agent", "grpc-python/1.85"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
)
_END: Final = b"-----END CERTIFICATE-----\n"


class _Wire:
    """A call of one of the callers, as grpc tells of it."""

    def __init__(self, chain: bytes) -> None:
        leaf = chain[: chain.index(_END) + len(_END)]
        self._facts: Mapping[str, Any] = {
            "x509_pem_cert": [leaf],
            "x509_pem_cert_chain": [chain],
        }

    def invocation_metadata(self) -> MetadataPairs:
        return _PAIRS

    def auth_context(self) -> Mapping[str, Any]:
        return self._facts

    def time_remaining(self) -> float | None:
        return 2.0

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"


def measure(quick: bool) -> Row:
    """The row: 100,000 bindings against 10. `extra` has the same of the access check alone."""
    with tempfile.TemporaryDirectory() as folder:
        few, again, many = (
            Reloader(_mesh(Path(folder, name), count))
            for name, count in (("few", FEW), ("again", FEW), ("many", MANY))
        )
    authority = Authority(TRUST_DOMAIN)
    names = [caller.rpartition("/")[2] for caller in CALLERS]
    leaves = [authority.issue(name) for name in names]
    own = authority.issue("server")
    bundle = TrustBundle.from_pem(TRUST_DOMAIN, authority.roots_pem)
    identity = Identity(X509Svid.from_pem(own.chain_pem, own.key_pem), {TRUST_DOMAIN: bundle})
    wires = [_Wire(leaf.chain_pem) for leaf in leaves]
    rounds = ROUNDS_QUICK if quick else ROUNDS
    whole = _interleaved(
        {
            name: _admission(bindings, Peers(FixedSource(identity)), wires)
            for name, bindings in (("10", few), ("10 again", again), ("100,000", many))
        },
        rounds,
    )
    check = _interleaved(
        {
            name: _check(bindings)
            for name, bindings in (("10", few), ("10 again", again), ("100,000", many))
        },
        rounds,
    )
    found = ratio(whole["100,000"], whole["10"], whole["10 again"])
    alone = ratio(check["100,000"], check["10"], check["10 again"])
    return Row(
        "rbac-scale",
        "decision at 100,000 bindings / at 10",
        "<=",
        GOAL,
        round(found.value, 4),
        round(found.low, 4),
        round(found.high, 4),
        round(ratio(whole["10 again"], whole["10"]).value - 1, 4),
        rounds,
        microseconds(whole),
        extra={
            "access_check_alone": {
                "ratio": round(alone.value, 4),
                "range": [round(alone.low, 4), round(alone.high, 4)],
                "a_a": round(ratio(check["10 again"], check["10"]).value - 1, 4),
                "cpu_us": microseconds(check),
            },
        },
    )


def _mesh(folder: Path, count: int) -> Path:
    folder.mkdir()
    return write_mesh(folder, count)


def _admission(bindings: Reloader, peers: Peers, wires: list[_Wire]) -> Callable[[], None]:
    """A chunk of decisions. It asserts that each lets the call in."""
    begin = compile_admission(
        f"/{_METHOD}",
        _POLICY,
        peers=peers,
        bindings=bindings,
        reachable=None,
        verifier=None,
        start=None,
        max_metadata=16384,
        registry=None,
        clock=time.monotonic,
    )
    calls = list(itertools.islice(itertools.cycle(wires), CHUNK))
    first = begin(wires[0], _PAIRS, False, None)
    assert isinstance(first, Running)
    assert first.denial is None, first.denial

    current = bindings.current
    versions = [object() for _ in calls]

    def chunk() -> None:
        for wire, version in zip(calls, versions, strict=True):
            current.version = version
            begin(wire, _PAIRS, False, None)

    return chunk


def _check(bindings: Reloader) -> Callable[[], None]:
    check = compile_access(_POLICY.access, bindings, _METHOD)
    assert check is not None
    callers = list(itertools.islice(itertools.cycle(CALLERS), CHUNK))
    assert all(check(caller, None) is None for caller in CALLERS)

    def chunk() -> None:
        for caller in callers:
            check(caller, None)

    return chunk


def _interleaved(chunks: Mapping[str, Callable[[], None]], rounds: int) -> Mapping[str, Samples]:
    """Nanoseconds of CPU a decision, one figure a round for each variant."""
    source = random.Random(1)
    samples: dict[str, list[float]] = {name: [] for name in chunks}
    order = list(chunks)
    for number in range(rounds + 3):
        source.shuffle(order)
        for name in order:
            began = time.process_time_ns()
            chunks[name]()
            if number >= 3:  # the first ones fill caches
                samples[name].append((time.process_time_ns() - began) / CHUNK)
    return samples
