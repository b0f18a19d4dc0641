"""What a guard makes of callers whose CA comes and goes."""

from __future__ import annotations

from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.identity import Peers
from meshpact.testing.authority import Authority
from rotation.domain import Domain


def verified(peers: Peers, domain: Domain) -> str:
    """The caller's ID, or the reason of the refusal."""
    svid = domain.source("caller").current().svid
    found = peers.verify(svid.leaf_pem, svid.chain_pem)
    return found.reason if isinstance(found, StatusError) else found[0].caller.workload


def test_a_caller_of_a_new_ca_is_known_at_once() -> None:
    domain = Domain(Authority("test.example"))
    peers = Peers(domain.source("server"))
    assert verified(peers, domain) == "spiffe://test.example/caller"
    domain.prepare()
    domain.activate()
    assert verified(peers, domain) == "spiffe://test.example/caller"


def test_a_caller_of_a_retired_ca_is_refused_though_it_was_verified_before() -> None:
    domain = Domain(Authority("test.example"))
    now = [domain.source("caller").current().svid.not_before + 60]
    peers = Peers(domain.source("server"), wall=lambda: now[0])
    old = domain.source("caller").current()
    assert verified(peers, domain) == "spiffe://test.example/caller"
    domain.prepare()
    domain.activate()
    domain.retire()
    domain.source("caller").push(old)
    now[0] += 1
    assert verified(peers, domain) == "IDENTITY_INVALID"
