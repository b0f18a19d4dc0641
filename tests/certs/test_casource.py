"""An identity straight from a local CA: renewed at half of its life, and with the CA's roots."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from meshpact.certs.ca import CaError, LocalCA
from meshpact.certs.casource import LocalCASource
from meshpact.certs.rotation import Rotation, Settling
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.verify import verify_peer

INVENTORY = SpiffeId.parse("spiffe://acme.example/inventory")
LONG = 60.0
HOUR = 3600.0


class Place:
    """A CA, a source on it, and a clock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ca = LocalCA.init(root / "ca", "acme.example")
        self.now = self.ca.issue(INVENTORY).not_before + 300

    def wall(self) -> float:
        return self.now

    def source(self, lifetime: timedelta = timedelta(hours=1)) -> LocalCASource:
        return LocalCASource(
            LocalCA.load(self.root / "ca"), INVENTORY, lifetime=lifetime, wall=self.wall
        )

    def rotation(self) -> Rotation:
        return Rotation(
            self.root / "ca",
            trust=self.root / "trust",
            identities=self.root / "identities",
            settling=Settling(timedelta(0)),
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_identity_stays_until_half_of_its_life_is_over(place: Place) -> None:
    source = place.source()
    first = source.current()
    assert first.svid.id == INVENTORY
    place.now += HOUR / 2 - 2
    assert source.current() is first
    place.now += 3
    second = source.current()
    assert second is not first
    assert second.svid.not_after - place.now == pytest.approx(HOUR, abs=2)
    assert source.current() is second


def test_a_short_life_is_renewed_at_its_half_too(place: Place) -> None:
    source = place.source(timedelta(seconds=10))
    first = source.current()
    place.now += 6
    assert source.current().svid.serial != first.svid.serial


def test_a_rotation_of_the_ca_is_followed_step_by_step(place: Place) -> None:
    source, rotation = place.source(), place.rotation()
    first = source.current()
    (old_root,) = first.bundles["acme.example"].roots

    def step() -> None:
        place.now += 1

    rotation.prepare()
    step()
    prepared = source.current()
    assert prepared.svid == first.svid
    assert len(prepared.bundles["acme.example"].roots) == 2
    rotation.activate(force=True)
    step()
    activated = source.current()
    assert activated.svid.serial != first.svid.serial
    peer = verify_peer(
        activated.svid.leaf_pem, activated.svid.chain_pem, prepared.bundles, place.now
    )
    assert peer.id == INVENTORY
    rotation.retire(force=True)
    step()
    retired = source.current()
    assert retired.svid == activated.svid
    assert old_root not in retired.bundles["acme.example"].roots


def test_subscribers_are_told_of_a_renewal_though_nobody_asks(place: Place) -> None:
    source = place.source()
    first, told = source.current(), threading.Event()
    leave = source.subscribe(told.set)
    place.now += HOUR
    assert told.wait(LONG)
    assert source.current().svid.serial != first.svid.serial
    leave()


def test_a_ca_that_fails_leaves_the_last_identity_and_is_said_once(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    source = place.source()
    first = source.current()
    state = place.root / "ca" / "ca.json"
    content = state.read_bytes()
    state.write_bytes(b"{")
    for _ in range(3):
        place.now += HOUR
        assert source.current() is first
    assert len(caplog.records) == 1
    assert "the last identity of spiffe://acme.example/inventory stays" in caplog.text
    state.write_bytes(content)
    place.now += 1
    assert source.current().svid.serial != first.svid.serial


def test_a_workload_of_another_domain_is_refused_at_once(place: Place) -> None:
    with pytest.raises(CaError) as refusal:
        LocalCASource(place.ca, SpiffeId.parse("spiffe://partner.example/inventory"))
    assert refusal.value.rule == "trust-domain"


def test_several_sources_on_one_ca_all_follow_it(place: Place) -> None:
    ca = LocalCA.load(place.root / "ca")
    ids = [SpiffeId.parse(f"spiffe://acme.example/{name}") for name in ("a", "b")]
    sources = [LocalCASource(ca, each, wall=place.wall) for each in ids]
    place.rotation().prepare()
    place.now += 1
    assert [len(each.current().bundles["acme.example"].roots) for each in sources] == [2, 2]
