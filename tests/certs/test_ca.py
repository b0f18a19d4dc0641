"""The local CA: what it issues, what it leaves on disk, and what it says when that is broken."""

from __future__ import annotations

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import forgedcerts as forged
from meshpact.certs import authority
from meshpact.certs.ca import CaError, LocalCA, write_bundle, write_svid
from meshpact.certs.source import FileSource
from meshpact.certs.spiffe import SpiffeError, SpiffeId
from meshpact.certs.svid import X509Svid, check_dns_name, check_leaf
from meshpact.certs.verify import verify_peer

INVENTORY = SpiffeId.parse("spiffe://acme.example/inventory")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ca"


@pytest.fixture
def ca(directory: Path) -> LocalCA:
    return LocalCA.init(directory, "acme.example")


def files(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_an_issued_svid_keeps_all_rules_and_verifies(ca: LocalCA) -> None:
    svid = ca.issue(INVENTORY)
    assert check_leaf(svid.leaf) == INVENTORY
    check_dns_name(svid.leaf, INVENTORY)
    assert len(svid.chain) == 2
    assert X509Svid.from_pem(svid.chain_pem, svid.key_pem) == svid
    now = datetime.now(UTC).timestamp()
    peer = verify_peer(svid.leaf_pem, svid.chain_pem, {"acme.example": ca.bundle}, now)
    assert peer.id == INVENTORY


def test_a_leaf_is_valid_from_five_minutes_ago_for_an_hour(ca: LocalCA) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    svid = ca.issue(INVENTORY, now=now)
    assert svid.not_before == (now - timedelta(minutes=5)).timestamp()
    assert svid.not_after == (now + timedelta(hours=1)).timestamp()


def test_serial_numbers_are_long_and_never_the_same(ca: LocalCA) -> None:
    serials = {ca.issue(INVENTORY).serial for _ in range(8)}
    assert len(serials) == 8
    assert min(serials).bit_length() > 100


@pytest.mark.parametrize(
    "lifetime", [timedelta(0), timedelta(seconds=-1), timedelta(hours=24, seconds=1)]
)
def test_a_lifetime_out_of_bounds_is_refused(ca: LocalCA, lifetime: timedelta) -> None:
    with pytest.raises(CaError) as refusal:
        ca.issue(INVENTORY, lifetime=lifetime)
    assert refusal.value.rule == "lifetime"


def test_an_id_of_another_domain_is_refused(ca: LocalCA) -> None:
    with pytest.raises(CaError) as refusal:
        ca.issue(SpiffeId.parse("spiffe://other.example/inventory"))
    assert refusal.value.rule == "trust-domain"


def test_an_id_without_a_dns_name_is_refused(ca: LocalCA) -> None:
    with pytest.raises(SpiffeError) as refusal:
        ca.issue(SpiffeId.parse("spiffe://acme.example/ns/inventory"))
    assert refusal.value.rule == "dns-name"


def test_a_second_init_changes_nothing(ca: LocalCA, directory: Path) -> None:
    before = files(directory)
    assert LocalCA.init(directory, "acme.example").bundle == ca.bundle
    assert files(directory) == before


def test_inits_at_the_same_moment_agree_on_one_ca(directory: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = [pool.submit(LocalCA.init, directory, "acme.example") for _ in range(4)]
    assert len({ca.result().bundle.pem for ca in made}) == 1
    assert [path.name for path in directory.parent.iterdir()] == ["ca"]


def test_init_for_another_domain_is_refused(ca: LocalCA, directory: Path) -> None:
    with pytest.raises(CaError, match=r"acme\.example, not of other\.example"):
        LocalCA.init(directory, "other.example")


def test_only_the_owner_can_read_keys_and_enter_directories(ca: LocalCA, directory: Path) -> None:
    write_svid(directory.parent / "identities" / "inventory", ca.issue(INVENTORY))
    write_bundle(directory.parent / "trust", ca.bundle)
    for path in directory.parent.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_dir():
            assert mode == 0o700, path
        elif "key" in path.name:
            assert mode == 0o600, path
        assert not path.name.endswith(".tmp")


def swap_key(directory: Path) -> None:
    (directory / "1/intermediate.key.pem").write_bytes(forged.key_pem(forged.new_key()))


def swap_intermediate(directory: Path) -> None:
    stranger = forged.intermediate(forged.root())
    (directory / "1/intermediate.pem").write_bytes(forged.pem(stranger.certificate))
    (directory / "1/intermediate.key.pem").write_bytes(forged.key_pem(stranger.key))


DAMAGES: list[tuple[Callable[[Path], object], str, str]] = [
    (lambda d: (d / "1/root.pem").unlink(), "1/root.pem", "is missing"),
    (lambda d: (d / "1/intermediate.pem").unlink(), "1/intermediate.pem", "is missing"),
    (lambda d: (d / "1/intermediate.pem").write_bytes(b""), "1/intermediate.pem", "not a readable"),
    (lambda d: (d / "1/root.pem").write_bytes(b"-----BEGIN CER"), "1/root.pem", "not a readable"),
    (lambda d: (d / "1/intermediate.key.pem").write_bytes(b"x"), "1/intermediate.key.pem", "not a"),
    (lambda d: (d / "ca.json").unlink(), "ca.json", "is missing"),
    (lambda d: (d / "ca.json").write_bytes(b"{"), "ca.json", "is not what this program wrote"),
    (swap_key, "1/intermediate.key.pem", "is not the key of"),
    (swap_intermediate, "1/intermediate.pem", "was not issued by the root"),
]


@pytest.mark.parametrize(("damage", "named", "said"), DAMAGES)
def test_half_written_state_names_the_file_and_what_to_do(
    ca: LocalCA, directory: Path, damage: Callable[[Path], object], named: str, said: str
) -> None:
    damage(directory)
    with pytest.raises(CaError) as refusal:
        LocalCA.init(directory, "acme.example")
    text = str(refusal.value)
    assert refusal.value.rule == "state"
    assert str(directory / named) in text
    assert said in text
    assert "meshpact certs init" in text


def test_without_a_ca_load_says_how_to_make_one(directory: Path) -> None:
    with pytest.raises(CaError, match="meshpact certs init --trust-domain"):
        LocalCA.load(directory)


def test_the_directory_around_a_ca_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    LocalCA.init(tmp_path / "ca", "acme.example")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700


def test_an_intermediate_that_runs_out_is_replaced_under_the_same_root(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(authority, "INTERMEDIATE_LIFETIME", timedelta(days=20))
        patch.setattr(authority, "INTERMEDIATE_RENEWAL", timedelta(days=1))
        old = LocalCA.init(directory, "acme.example")
        issued = old.issue(INVENTORY)
    new = LocalCA.load(directory)
    assert new.bundle == old.bundle
    fresh = new.issue(INVENTORY)
    assert fresh.chain[1] != issued.chain[1]
    now = datetime.now(UTC).timestamp()
    for svid in (issued, fresh):
        verify_peer(svid.leaf_pem, svid.chain_pem, {"acme.example": new.bundle}, now)


def test_what_is_written_is_what_a_source_reads(ca: LocalCA, tmp_path: Path) -> None:
    svid = ca.issue(INVENTORY)
    write_svid(tmp_path / "identities" / "inventory", svid)
    write_bundle(tmp_path / "trust", ca.bundle)
    identity = FileSource(tmp_path / "identities" / "inventory", tmp_path / "trust").current()
    assert identity.svid == svid
    assert identity.bundles == {"acme.example": ca.bundle}


def test_a_ca_never_shows_a_key(ca: LocalCA) -> None:
    assert "PRIVATE" not in repr(ca)
    assert "PRIVATE" not in repr(ca.issue(INVENTORY))
