"""The doctor of identities: each fault on disk is found, named by its rule, and has a remedy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import forgedcerts as forged
from meshpact.certs import authority
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.ca import LocalCA, write_bundle, write_svid
from meshpact.certs.doctor import examine_files, examine_state
from meshpact.certs.fault import Fault
from meshpact.certs.profile import Validity
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from rotationworld import DOMAIN, World

INVENTORY = SpiffeId.for_service(DOMAIN, "inventory")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "state")
    world.root.chmod(0o700)
    world.issue("inventory")
    return world


def state_faults(
    world: World, now: datetime | None = None, passphrase: bytes | None = None
) -> list[Fault]:
    return examine_state(
        world.root,
        world.root / "ca",
        world.root / "trust",
        world.root / "identities",
        now=now,
        passphrase=passphrase,
    )


def only(faults: list[Fault]) -> Fault:
    assert len(faults) == 1, faults
    assert faults[0].remedy
    return faults[0]


def test_sound_state_has_no_faults(world: World) -> None:
    assert state_faults(world) == []
    world.rotation.prepare()
    assert state_faults(world) == []


def other_key(world: World) -> Path:
    path = world.root / "issuers" / "local" / "key.pem"
    path.parent.mkdir(parents=True)
    (world.root / "issuers").chmod(0o700)
    path.touch(0o600)
    return path


DAMAGES: list[tuple[Callable[[World], object], str, str]] = [
    (lambda w: (w.identity("inventory") / "key.pem").chmod(0o644), "permissions", "chmod 600"),
    (lambda w: w.identity("inventory").chmod(0o755), "permissions", "chmod 700"),
    (lambda w: w.root.chmod(0o750), "permissions", "chmod 700"),
    (lambda w: (w.root / "ca" / "1" / "root.key.pem").chmod(0o640), "permissions", "chmod 600"),
    (
        lambda w: (w.root / "ca" / "1" / "intermediate.key.pem").chmod(0o640),
        "permissions",
        "chmod 600",
    ),
    (
        lambda w: (w.identity("inventory") / "key.pem").write_bytes(
            forged.key_pem(forged.new_key())
        ),
        "key-mismatch",
        "meshpact certs issue inventory",
    ),
    (
        lambda w: (w.identity("inventory") / "key.pem").write_bytes(b"-----BEGIN PRIV"),
        "key",
        "issue it anew",
    ),
    (
        lambda w: (w.identity("inventory") / "cert.pem").write_bytes(b"-----BEGIN CERT"),
        "pem",
        "meshpact certs issue inventory",
    ),
    (lambda w: (w.identity("inventory") / "key.pem").unlink(), "unreadable", "write it anew"),
    (lambda w: (w.identity("inventory") / "cert.pem").unlink(), "unreadable", "write it anew"),
    (
        lambda w: (w.root / "trust" / "partner.example.pem").write_bytes(b""),
        "bundle",
        "meshpact certs init",
    ),
    (lambda w: (w.root / "ca" / "ca.json").write_bytes(b"{"), "state", "put the right file back"),
    (lambda w: (w.root / "ca" / "1" / "root.pem").unlink(), "state", "put the right file back"),
    (lambda w: (w.root / "ca" / "2").mkdir(), "leftover", "none is needed"),
    (lambda w: (w.root / ".ca.x1y2").mkdir(), "leftover", "rm -r"),
    (lambda w: (w.root / "identities").chmod(0o755), "permissions", "chmod 700"),
    (lambda w: other_key(w).chmod(0o604), "permissions", "chmod 600"),
    (lambda w: w.identity("empty").mkdir(mode=0o700), "missing", "meshpact certs issue empty"),
]


@pytest.mark.parametrize(("damage", "rule", "remedy"), DAMAGES)
def test_a_fault_of_the_state_is_found_alone_and_its_remedy_named(
    world: World, damage: Callable[[World], object], rule: str, remedy: str
) -> None:
    damage(world)
    fault = only(state_faults(world))
    assert fault.rule == rule
    assert remedy in fault.remedy
    assert fault.where in str(fault)


def test_a_damaged_log_is_found(world: World) -> None:
    log = world.root / "ca" / "issued.jsonl"
    log.write_bytes(b"x\n" + log.read_bytes())
    fault = only(state_faults(world))
    assert (fault.rule, fault.where) == ("log", str(log))


def test_a_missing_bundle_is_found_for_the_ca_and_for_each_workload(world: World) -> None:
    (world.root / "trust" / f"{DOMAIN}.pem").unlink()
    faults = state_faults(world)
    assert [fault.rule for fault in faults] == ["bundle-missing", "bundle-missing"]
    assert all("meshpact certs init --trust-domain acme.example" in each.remedy for each in faults)


def test_a_bundle_of_another_ca_is_found_with_all_that_it_breaks(world: World) -> None:
    stranger = forged.root(DOMAIN).certificate
    write_bundle(world.root / "trust", TrustBundle(TrustDomain(DOMAIN), (stranger,)))
    rules = [fault.rule for fault in state_faults(world)]
    assert rules[0] == "bundle"
    assert "chain" in rules


def test_a_state_without_a_ca_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    found = examine_state(
        tmp_path / "state", tmp_path / "state/ca", tmp_path / "state/trust", tmp_path / "nothing"
    )
    assert only(found).rule == "ca"


def test_an_encrypted_ca_needs_its_passphrase_to_be_looked_at(tmp_path: Path) -> None:
    world = World(tmp_path / "state", passphrase=b"secret")
    world.root.chmod(0o700)
    fault = only(state_faults(world))
    assert fault.rule == "passphrase"
    assert "--passphrase-file" in fault.remedy
    assert state_faults(world, passphrase=b"secret") == []


@pytest.mark.parametrize(
    ("later", "rules"),
    [
        (timedelta(minutes=20), []),
        (timedelta(minutes=50), ["expires-soon"]),
        (timedelta(minutes=61), ["expired"]),
        (timedelta(minutes=-10), ["not-yet-valid"]),
        (timedelta(days=350), ["expires-soon", "expired"]),
        (timedelta(days=3600), ["expires-soon", "expired", "expired"]),
    ],
)
def test_what_expires_is_found_before_it_does(
    world: World, later: timedelta, rules: list[str]
) -> None:
    assert [fault.rule for fault in state_faults(world, datetime.now(UTC) + later)] == rules


def test_an_intermediate_that_runs_out_without_the_roots_key_is_found_with_where_to_put_it(
    world: World,
) -> None:
    key = world.root / "ca" / "1" / "root.key.pem"
    key.unlink()
    faults = state_faults(
        world, datetime.now(UTC) + authority.INTERMEDIATE_LIFETIME - timedelta(days=3)
    )
    assert faults[0].rule == "expires-soon"
    assert f"put the root's key back to {key}" in faults[0].remedy


def csi(tmp_path: Path, **faults: Any) -> Path:
    """A directory as csi-driver-spiffe writes it, with a certificate of a CA of its own."""
    directory = tmp_path / "mounted"
    directory.mkdir()
    root, key = forged.root(DOMAIN), forged.new_key()
    leaf = forged.leaf(root, key=key, **faults)
    (directory / "tls.crt").write_bytes(forged.pem(leaf))
    (directory / "ca.crt").write_bytes(forged.pem(root.certificate))
    (directory / "tls.key").touch(0o600)
    (directory / "tls.key").write_bytes(forged.key_pem(key))
    return directory


def test_a_mounted_identity_is_verified_by_the_bundle_beside_it(
    tmp_path: Path, world: World
) -> None:
    assert examine_files([csi(tmp_path)], {}) == []


@pytest.mark.parametrize(("mode", "rules"), [(0o440, []), (0o444, ["permissions"])])
def test_a_mounted_key_may_be_read_by_the_pods_group_and_by_nobody_else(
    tmp_path: Path, mode: int, rules: list[str]
) -> None:
    directory = csi(tmp_path)
    (directory / "tls.key").chmod(mode)
    faults = examine_files([directory], {})
    assert [fault.rule for fault in faults] == rules
    assert all("fsGroup" in fault.remedy for fault in faults)


def test_an_identity_without_a_dns_name_cannot_be_called_and_the_remedy_names_spires_options(
    tmp_path: Path, world: World
) -> None:
    fault = only(examine_files([csi(tmp_path, dns=[])], {}))
    assert fault.rule == "no-dns-name"
    assert "cannot be called" in fault.fault
    assert "-dns inventory.acme.example" in fault.remedy
    assert "dnsName" in fault.remedy


@pytest.mark.parametrize(
    "dns", [["orders.acme.example"], ["inventory.acme.example", "orders.acme.example"]]
)
def test_a_dns_name_that_is_not_the_ids_is_found(tmp_path: Path, dns: list[str]) -> None:
    fault = only(examine_files([csi(tmp_path, dns=dns)], {}))
    assert fault.rule == "dns-san"
    assert "inventory.acme.example" in fault.fault


def test_a_bundle_without_certificates_is_found_beside_a_certificate(
    tmp_path: Path, world: World
) -> None:
    directory = csi(tmp_path)
    (directory / "ca.crt").write_bytes(b"# none yet\n")
    assert [each.rule for each in examine_files([directory], {})] == ["bundle", "bundle-missing"]


@pytest.mark.parametrize(
    ("faults", "rule"),
    [
        ({"uris": []}, "uri-san"),
        ({"ca": True}, "basic-constraints"),
        ({"usages": None}, "key-usage"),
        ({"extended": forged.BOTH[:1]}, "extended-key-usage"),
    ],
)
def test_a_broken_rule_of_svids_is_found_by_its_name(
    tmp_path: Path, faults: dict[str, Any], rule: str
) -> None:
    assert only(examine_files([csi(tmp_path, **faults)], {})).rule == rule


def test_single_files_are_looked_at_for_what_they_are(tmp_path: Path, world: World) -> None:
    bundles = {DOMAIN: world.bundle()}
    certificate = world.identity("inventory") / "cert.pem"
    key = world.identity("inventory") / "key.pem"
    bundle = world.root / "trust" / f"{DOMAIN}.pem"
    assert examine_files([certificate, key, bundle], bundles) == []
    assert only(examine_files([certificate], {})).rule == "bundle-missing"
    assert only(examine_files([tmp_path / "nothing"], {})).rule == "unreadable"
    note = tmp_path / "note"
    note.write_text("hello")
    assert only(examine_files([note], {})).rule == "pem"


def test_the_directory_of_a_ca_is_looked_at_as_one(world: World) -> None:
    assert examine_files([world.root / "ca"], {}) == []
    (world.root / "ca" / "1" / "intermediate.pem").unlink()
    assert only(examine_files([world.root / "ca"], {})).rule == "state"


def test_an_encrypted_key_of_a_workload_is_found(tmp_path: Path, world: World) -> None:
    encrypted = LocalCA.init(tmp_path / "other", DOMAIN, passphrase=b"secret").directory
    fault = only(examine_files([encrypted / "1" / "root.key.pem"], {}))
    assert fault.rule == "key"
    assert "must not be" in fault.fault


def test_expired_roots_of_a_bundle_are_found(tmp_path: Path) -> None:
    path = tmp_path / "old.pem"
    now = datetime.now(UTC)
    path.write_bytes(
        forged.pem(
            forged.root(
                DOMAIN, Validity(now - timedelta(days=9), now - timedelta(days=1))
            ).certificate
        )
    )
    assert only(examine_files([path], {})).rule == "expired"
    ending = forged.root(
        DOMAIN, Validity(now - timedelta(days=9), datetime.now(UTC) + timedelta(days=1))
    )
    path.write_bytes(forged.pem(ending.certificate))
    assert only(examine_files([path], {})).rule == "expires-soon"


def test_no_secret_is_in_what_the_doctor_says(world: World) -> None:
    key = world.identity("inventory") / "key.pem"
    secret = key.read_text().splitlines()[1]
    key.write_text(f"-----BEGIN PRIVATE KEY-----\n{secret}\n")
    assert secret not in str(only(state_faults(world)))


def test_a_reissued_identity_is_sound_again(world: World) -> None:
    (world.identity("inventory") / "key.pem").write_bytes(b"")
    assert state_faults(world)
    write_svid(world.identity("inventory"), world.ca.issue(INVENTORY))
    assert state_faults(world) == []
