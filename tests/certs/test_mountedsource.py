"""Identities as csi-driver-spiffe mounts them: read whole from one snapshot, or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import forgedcerts as forged
from csimount import CsiMount
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.ca import LocalCA
from meshpact.certs.dialling import why_not_dialled
from meshpact.certs.source import MountedSource, SourceError
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.certs.svid import X509Svid

INVENTORY = SpiffeId.parse("spiffe://acme.example/inventory")
AN_HOUR = 3_600_000_000_000
LONG = 60.0


class Place:
    """A mount with the identity of inventory, and the CA that issued it."""

    def __init__(self, root: Path) -> None:
        self.ca = LocalCA.init(root / "ca", "acme.example")
        self.mount = CsiMount(root / "mount")
        self.refusals: list[SourceError] = []
        self.issue()

    def issue(self) -> X509Svid:
        svid = self.ca.issue(INVENTORY)
        self.mount.write(svid, self.ca.bundle)
        return svid

    def source(self) -> MountedSource:
        return MountedSource(self.mount.directory, refused=self.refusals.append)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def forged_svid(
    uris: Sequence[str] = ("spiffe://acme.example/inventory",),
    dns: Sequence[str] = ("inventory.acme.example",),
) -> tuple[X509Svid, TrustBundle]:
    root, key = forged.root(), forged.new_key()
    leaf = forged.leaf(root, key=key, uris=uris, dns=dns)
    svid = X509Svid.from_pem(forged.pem(leaf), forged.key_pem(key))
    return svid, TrustBundle(TrustDomain("acme.example"), (root.certificate,))


def test_an_identity_is_read_from_the_three_files(place: Place) -> None:
    svid = place.issue()
    identity = place.source().current()
    assert identity.svid.serial == svid.serial
    assert dict(identity.bundles) == {"acme.example": place.ca.bundle}


def test_the_identity_is_the_same_object_until_the_links_swing(place: Place) -> None:
    source = place.source()
    first = source.current()
    assert source.current() is first
    svid = place.issue()
    assert source.current().svid.serial == svid.serial
    assert not place.refusals


def test_plain_files_without_links_do_as_well(place: Place, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    svid = place.ca.issue(INVENTORY)
    for name, content in (
        ("tls.crt", svid.chain_pem),
        ("tls.key", svid.key_pem),
        ("ca.crt", place.ca.bundle.pem),
    ):
        (plain / name).write_bytes(content)
    assert MountedSource(plain).current().svid.serial == svid.serial


def test_a_subscriber_is_told_when_the_links_swing(place: Place) -> None:
    source = place.source()
    told = threading.Event()
    leave = source.subscribe(told.set)
    svid = place.issue()
    assert told.wait(LONG)
    assert source.current().svid.serial == svid.serial
    leave()


BROKEN: list[tuple[Callable[[bytes, bytes, bytes], tuple[bytes, bytes, bytes]], str]] = [
    (lambda crt, key, ca: (crt[:300], key, ca), "pem"),
    (lambda crt, key, ca: (b"", key, ca), "pem"),
    (lambda crt, key, ca: (crt, key[:90], ca), "key"),
    (lambda crt, key, ca: (crt, b"", ca), "key"),
    (lambda crt, key, ca: (crt, key, b""), "pem"),
    (lambda crt, key, ca: (crt, key, ca + ca[: len(ca) // 2]), "pem"),
    (lambda crt, key, ca: (crt[: len(crt) - 40], key, ca), "pem"),
    (lambda crt, key, ca: (crt, key, crt), "not-a-ca"),
]


@pytest.mark.parametrize(("damage", "rule"), BROKEN)
def test_files_that_are_cut_or_wrong_never_load(
    place: Place,
    damage: Callable[[bytes, bytes, bytes], tuple[bytes, bytes, bytes]],
    rule: str,
) -> None:
    source = place.source()
    first = source.current()
    svid = place.ca.issue(INVENTORY)
    place.mount.write_raw(*damage(svid.chain_pem, svid.key_pem, place.ca.bundle.pem))
    for _ in range(3):
        assert source.current() is first
    assert [refusal.rule for refusal in place.refusals] == [rule]
    with pytest.raises(SourceError) as refusal:
        place.source()
    assert refusal.value.rule == rule
    assert str(place.mount.directory) in str(refusal.value)
    assert "PRIVATE" not in str(refusal.value)
    new = place.issue()
    assert source.current().svid.serial == new.serial


def test_a_pair_that_stays_mismatched_is_refused_in_words(place: Place) -> None:
    source = place.source()
    first = source.current()
    place.mount.write_raw(
        place.ca.issue(INVENTORY).chain_pem,
        place.ca.issue(INVENTORY).key_pem,
        place.ca.bundle.pem,
    )
    for path in (place.mount.directory / "..data").iterdir():
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - AN_HOUR))
    assert source.current() is first
    assert [refusal.rule for refusal in place.refusals] == ["key-mismatch"]


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "ca.crt"])
def test_a_missing_file_is_named(place: Place, name: str) -> None:
    (place.mount.directory / "..data" / name).unlink()
    with pytest.raises(SourceError, match=name) as refusal:
        place.source()
    assert refusal.value.rule == "unreadable"
    assert "driver" in str(refusal.value)


def test_the_identity_of_another_workload_is_refused_where_one_is_expected(place: Place) -> None:
    orders = SpiffeId.parse("spiffe://acme.example/orders")
    with pytest.raises(SourceError, match=r"is to be spiffe://acme\.example/orders") as refusal:
        MountedSource(place.mount.directory, workload=orders)
    assert refusal.value.rule == "workload-id"
    refusals: list[SourceError] = []
    source = MountedSource(place.mount.directory, workload=INVENTORY, refused=refusals.append)
    first = source.current()
    place.mount.write(place.ca.issue(orders), place.ca.bundle)
    assert source.current() is first
    assert [refusal.rule for refusal in refusals] == ["workload-id"]


def test_readers_beside_swinging_links_see_whole_identities_only(place: Place) -> None:
    source = place.source()
    done = threading.Event()
    faults: list[BaseException] = []
    seen: set[int] = set()

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
    last = [place.issue().serial for _ in range(25)][-1]
    done.set()
    for reader in readers:
        reader.join()
    assert not faults
    assert not place.refusals
    assert source.current().svid.serial == last


def test_the_set_of_files_is_of_one_snapshot_when_the_ca_changes_too(tmp_path: Path) -> None:
    cas = [LocalCA.init(tmp_path / f"ca{number}", "acme.example") for number in range(2)]
    mount = CsiMount(tmp_path / "mount")
    mount.write(cas[0].issue(INVENTORY), cas[0].bundle)
    source = MountedSource(mount.directory)
    done = threading.Event()
    mixed: list[object] = []

    def read() -> None:
        while not done.is_set():
            identity = source.current()
            (root,) = identity.bundles["acme.example"].roots
            try:
                identity.svid.chain[1].verify_directly_issued_by(root)
            except Exception as error:
                mixed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(20):
        ca = cas[turn % 2]
        mount.write(ca.issue(INVENTORY), ca.bundle)
    done.set()
    reader.join()
    assert not mixed


def test_an_svid_without_dns_name_loads_with_a_warning_that_names_the_remedy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mount = CsiMount(tmp_path / "mount")
    svid, bundle = forged_svid(dns=[])
    mount.write(svid, bundle)
    source = MountedSource(mount.directory)
    assert source.current().svid.id == svid.id
    assert "no DNS name" in caplog.text
    assert "-dns" in caplog.text
    caplog.clear()
    mount.write(*forged_svid(dns=[]))
    source.current()
    assert not caplog.text


def test_an_svid_with_further_dns_names_loads_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mount = CsiMount(tmp_path / "mount")
    svid, bundle = forged_svid(dns=["inventory.shop.svc", "inventory.acme.example"])
    mount.write(svid, bundle)
    assert MountedSource(mount.directory).current().svid.id == svid.id
    assert not caplog.text


def test_why_a_workload_cannot_be_called_is_said_for_each_cause() -> None:
    fine, _ = forged_svid()
    assert why_not_dialled(fine) == ""
    foreign, _ = forged_svid(dns=["web.shop.svc"])
    assert "web.shop.svc" in why_not_dialled(foreign)
    assert "inventory.acme.example" in why_not_dialled(foreign)
    nested, _ = forged_svid(uris=["spiffe://acme.example/ns/shop/sa/inventory"])
    assert "one segment" in why_not_dialled(nested)
