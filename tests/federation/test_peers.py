"""What is verified of a peer is remembered by its certificates, and no longer than they hold."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

import forgedcerts as forged
from federation.crossings import crossed
from meshpact.certs import profile
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.identity import Identity
from meshpact.certs.profile import Signer
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.certs.svid import X509Svid
from meshpact.interceptors import identity
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.identity import Peers
from meshpact.testing.sources import PushedSource

OWN = TrustDomain("acme.example")
ROOT = forged.root(OWN.name, forged.around_now(after=timedelta(hours=20)))
OURS = f"spiffe://{OWN}/orders"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def known(*roots: Signer) -> Identity:
    key = forged.new_key()
    leaf = profile.leaf(
        SpiffeId.parse(f"spiffe://{OWN}/server"), key.public_key(), ROOT, forged.around_now()
    )
    svid = X509Svid.from_pem(forged.pem(leaf), forged.key_pem(key))
    return Identity(svid, {OWN.name: TrustBundle(OWN, tuple(root.certificate for root in roots))})


def chain(minutes: int, leaf_minutes: int) -> tuple[bytes, bytes]:
    """A leaf, and the chain that TLS sends, by when the intermediate and the leaf expire."""
    key = forged.new_key()
    middle = crossed(
        forged.root().certificate.subject,
        key.public_key(),
        ROOT,
        validity=forged.around_now(after=timedelta(minutes=minutes)),
    )
    leaf = forged.leaf(
        Signer(middle, key),
        uris=[OURS],
        validity=forged.around_now(after=timedelta(minutes=leaf_minutes)),
    )
    return forged.pem(leaf), forged.pem(leaf, middle)


def reason(found: object) -> str:
    return found.reason if isinstance(found, StatusError) else "OK"


@pytest.mark.parametrize(
    ("intermediate", "leaf", "then"),
    [(10, 30, "IDENTITY_INVALID"), (30, 10, "SVID_EXPIRED")],
)
def test_nothing_is_remembered_beyond_the_first_certificate_that_expires(
    intermediate: int, leaf: int, then: str
) -> None:
    clock = Clock()
    peers = Peers(PushedSource(known(ROOT)), wall=clock)
    shown = chain(intermediate, leaf)
    found = peers.verify(*shown)
    assert not isinstance(found, StatusError)
    assert 590 < found[1] < 610
    for minutes, expected in ((9, "OK"), (2, then), (40, "SVID_EXPIRED")):
        clock.now += minutes * 60
        assert reason(peers.verify(*shown)) == expected


def test_certificates_are_compared_whole() -> None:
    peers = Peers(PushedSource(known(ROOT)))
    leaf, sent = chain(30, 30)
    other_leaf, other_sent = chain(30, 30)
    assert reason(peers.verify(leaf, sent)) == "OK"
    assert reason(peers.verify(leaf, b"")) == "IDENTITY_INVALID"
    assert reason(peers.verify(leaf, other_sent)) == "IDENTITY_INVALID"
    altered = bytearray(leaf)
    altered[300] ^= 1  # its signature, by which it is looked up, stays
    assert reason(peers.verify(bytes(altered), sent)) == "IDENTITY_INVALID"
    assert reason(peers.verify(other_leaf, other_sent)) == "OK"


def test_a_new_bundle_makes_all_that_was_verified_by_the_old_one_void() -> None:
    clock = Clock()
    source = PushedSource(known(ROOT))
    peers = Peers(source, wall=clock)
    shown = chain(30, 30)
    assert reason(peers.verify(*shown)) == "OK"
    source.push(known(forged.root(OWN.name)))
    clock.now += identity.REFRESH_SECONDS
    assert reason(peers.verify(*shown)) == "IDENTITY_INVALID"
    source.push(known(ROOT))
    clock.now += identity.REFRESH_SECONDS
    assert reason(peers.verify(*shown)) == "OK"


def test_as_many_chains_are_remembered_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "CACHE_ENTRIES", 3)
    peers = Peers(PushedSource(known(ROOT)))
    shown = [chain(30, 30) for _ in range(5)]
    first = [peers.verify(*each) for each in shown]
    again = [peers.verify(*each) for each in shown[2:]]
    for before, after in zip(first[2:], again, strict=True):
        assert not isinstance(before, StatusError)
        assert not isinstance(after, StatusError)
        assert before[0] is after[0]
    dropped = peers.verify(*shown[0])
    assert not isinstance(dropped, StatusError)
    assert not isinstance(first[0], StatusError)
    assert dropped[0] is not first[0][0]


def test_a_stranger_is_not_told_whom_else_we_trust() -> None:
    peers = Peers(PushedSource(known(ROOT)))
    stranger = forged.root("stranger.example")
    leaf = forged.leaf(stranger, uris=["spiffe://stranger.example/orders"])
    refusal = peers.verify(forged.pem(leaf), b"")
    assert isinstance(refusal, StatusError)
    assert (refusal.reason, refusal.metadata) == ("IDENTITY_INVALID", {"rule": "trust-domain"})
    assert OWN.name not in str(refusal)
