"""A source of identities from files: follows them, and never takes a pair that is half written."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import forgedcerts as forged
from meshpact.certs.ca import LocalCA, write_bundle, write_svid
from meshpact.certs.source import FileSource, FixedSource, SourceError
from meshpact.certs.spiffe import SpiffeId

INVENTORY = SpiffeId.parse("spiffe://acme.example/inventory")
AN_HOUR_AGO = 3_600_000_000_000


class Place:
    """The files of one identity."""

    def __init__(self, root: Path) -> None:
        self.ca = LocalCA.init(root / "ca", "acme.example")
        self.directory = root / "identities" / "inventory"
        self.trust = root / "trust"
        self.certificate = self.directory / "cert.pem"
        self.key = self.directory / "key.pem"
        self.refusals: list[SourceError] = []
        write_bundle(self.trust, self.ca.bundle)
        self.issue()

    def issue(self) -> None:
        write_svid(self.directory, self.ca.issue(INVENTORY))

    def source(self) -> FileSource:
        return FileSource(self.directory, self.trust, refused=self.refusals.append)

    def age(self, path: Path) -> None:
        """Makes a file look as if nobody were writing it any more."""
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - AN_HOUR_AGO))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_identity_is_the_same_object_until_a_file_changes(place: Place) -> None:
    source = place.source()
    first = source.current()
    assert source.current() is first
    place.issue()
    second = source.current()
    assert second is not first
    assert second.svid.serial != first.svid.serial
    assert source.current() is second


def test_a_new_bundle_is_taken_up_too(place: Place, tmp_path: Path) -> None:
    source = place.source()
    partner = LocalCA.init(tmp_path / "partner", "partner.example")
    write_bundle(place.trust, partner.bundle)
    assert set(source.current().bundles) == {"acme.example", "partner.example"}
    (place.trust / "partner.example.pem").unlink()
    assert set(source.current().bundles) == {"acme.example"}


def test_between_the_two_renames_of_a_writer_the_old_identity_stays_in_silence(
    place: Place,
) -> None:
    source = place.source()
    first = source.current()
    new = place.ca.issue(INVENTORY)
    place.key.write_bytes(new.key_pem)
    assert source.current() is first
    place.certificate.write_bytes(new.chain_pem)
    assert source.current().svid.serial == new.serial
    assert not place.refusals


DAMAGES: list[tuple[Callable[[Place], object], str]] = [
    (lambda p: p.certificate.write_bytes(p.certificate.read_bytes()[:200]), "pem"),
    (lambda p: p.certificate.write_bytes(b""), "pem"),
    (lambda p: p.key.write_bytes(p.key.read_bytes()[:60]), "key"),
    (lambda p: p.key.unlink(), "unreadable"),
    (lambda p: (p.trust / "acme.example.pem").unlink(), "trust-domain"),
    (lambda p: (p.trust / "acme.example.pem").write_bytes(b"x"), "pem"),
    (lambda p: (p.trust / "Other Name.pem").write_bytes(b"x"), "trust-domain"),
    (lambda p: (p.trust / "b.example.pem").write_bytes(p.certificate.read_bytes()), "not-a-ca"),
]


@pytest.mark.parametrize(("damage", "rule"), DAMAGES)
def test_bad_files_are_refused_once_and_the_old_identity_stays(
    place: Place, damage: Callable[[Place], object], rule: str
) -> None:
    source = place.source()
    first = source.current()
    damage(place)
    for _ in range(3):
        assert source.current() is first
    assert [refusal.rule for refusal in place.refusals] == [rule]
    assert str(place.directory.parent.parent) in str(place.refusals[0])
    with pytest.raises(SourceError) as refusal:
        place.source()
    assert refusal.value.rule == rule


def test_a_pair_that_stays_mismatched_is_refused_in_words(place: Place) -> None:
    source = place.source()
    first = source.current()
    place.key.write_bytes(forged.key_pem(forged.new_key()))
    for path in (place.key, place.certificate, place.trust / "acme.example.pem"):
        place.age(path)
    assert source.current() is first
    assert [refusal.rule for refusal in place.refusals] == ["key-mismatch"]
    assert "meshpact certs issue inventory" in str(place.refusals[0])


def test_after_a_bad_state_a_good_one_is_taken_up(place: Place) -> None:
    source = place.source()
    place.certificate.write_bytes(b"")
    source.current()
    place.issue()
    assert source.current().svid.leaf_pem in place.certificate.read_bytes()


def test_a_certificate_with_a_foreign_dns_name_is_no_identity(place: Place) -> None:
    root = forged.root()
    key = forged.new_key()
    leaf = forged.leaf(root, dns=["orders.acme.example"], key=key)
    place.certificate.write_bytes(forged.pem(leaf))
    place.key.write_bytes(forged.key_pem(key))
    with pytest.raises(SourceError) as refusal:
        place.source()
    assert refusal.value.rule == "dns-san"


def test_readers_beside_a_writer_see_whole_identities_only(place: Place) -> None:
    source = place.source()
    done = threading.Event()
    seen: set[int] = set()
    faults: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                svid = source.current().svid
                assert svid.leaf.public_key() == forged.public_key(svid.key_pem)
                seen.add(svid.serial)
        except BaseException as error:
            faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(15):
        place.issue()
    done.set()
    for reader in readers:
        reader.join()
    assert not faults
    assert not place.refusals
    assert source.current().svid.leaf_pem in place.certificate.read_bytes()


def test_a_fixed_source_gives_what_it_was_given(place: Place) -> None:
    identity = place.source().current()
    assert FixedSource(identity).current() is identity
