"""The rotation of a CA: its steps, whom they would cut off, and what others see of them."""

from __future__ import annotations

import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

import forgedcerts as forged
from meshpact.certs import keys
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.ca import CaError, LocalCA, sync_bundle, write_bundle
from meshpact.certs.castate import fingerprint
from meshpact.certs.issuance import IssuanceLog
from meshpact.certs.keys import KeyType
from meshpact.certs.rotation import Rotation, RotationRefused, Settling
from meshpact.certs.source import FileSource
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from rotationworld import AT_ONCE, DOMAIN, World

INVENTORY = SpiffeId.for_service(DOMAIN, "inventory")
ORDERS = SpiffeId.for_service(DOMAIN, "orders")
LONG = timedelta(hours=1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.issue("inventory", "orders")
    return world


def refusal_of(step: object) -> RotationRefused:
    assert callable(step)
    with pytest.raises(RotationRefused) as refused:
        step()
    return refused.value


def test_three_steps_lead_from_one_root_to_another_and_every_workload_works_throughout(
    world: World,
) -> None:
    (old,) = world.bundle().roots
    assert world.rotation.status().next_step == "prepare"

    prepared = world.rotation.prepare()
    assert (prepared.phase, prepared.next_step) == ("prepared", "activate")
    assert [fingerprint(each) for each in world.bundle().roots] == [
        prepared.active,
        prepared.next,
    ]
    assert world.works("inventory", "orders")
    world.issue("orders")
    assert world.ca.vouches_for(
        FileSource(world.identity("orders"), world.root / "trust").current().svid
    )

    activated = world.rotation.activate()
    assert (activated.phase, activated.active) == ("activated", prepared.next)
    assert activated.previous == fingerprint(old)
    assert world.works("inventory", "orders")
    world.issue("inventory", "orders")
    assert world.works("inventory", "orders")

    retired = world.rotation.retire()
    assert (retired.phase, retired.previous) == ("steady", "")
    assert [fingerprint(each) for each in world.bundle().roots] == [prepared.next]
    assert world.works("inventory", "orders")
    assert [each.name for each in (world.root / "ca").iterdir() if each.is_dir()] == ["2"]
    assert world.rotation.status().generation == 4


def test_another_process_sees_each_step_and_signs_by_it(world: World) -> None:
    follower = LocalCA.load(world.root / "ca")
    svid = follower.issue(INVENTORY)
    assert not follower.changed()
    assert not follower.refresh()
    for step, phase in (
        (world.rotation.prepare, "prepared"),
        (world.rotation.activate, "activated"),
    ):
        step()
        before = follower.generation
        assert follower.changed()
        assert follower.refresh()
        assert (follower.phase, follower.generation) == (phase, before + 1)
    assert not follower.vouches_for(svid)
    assert follower.vouches_for(follower.issue(INVENTORY))
    assert len(follower.bundle.roots) == 2


def test_a_ca_that_was_not_refreshed_never_signs_by_a_root_that_leaves(world: World) -> None:
    stale = LocalCA.load(world.root / "ca")
    world.rotation.prepare()
    world.rotation.activate()
    assert LocalCA.load(world.root / "ca").vouches_for(stale.issue(INVENTORY))


@pytest.mark.parametrize(
    ("steps", "refused", "said"),
    [
        ([], "activate", "no rotation is under way"),
        ([], "retire", "no rotation is under way"),
        (["prepare"], "retire", "does not sign yet"),
        (["prepare", "activate"], "prepare", "still trusted"),
    ],
)
def test_a_step_out_of_order_is_refused_and_the_next_one_named(
    tmp_path: Path, steps: list[str], refused: str, said: str
) -> None:
    world = World(tmp_path)
    for step in steps:
        getattr(world.rotation, step)()
    before = world.rotation.status()
    refusal = refusal_of(getattr(world.rotation, refused))
    assert refusal.rule == "order"
    assert refusal.blockers == ()
    assert said in str(refusal)
    assert f"Next: meshpact certs rotate {before.next_step}" in str(refusal)
    assert world.rotation.status() == before


def test_a_step_taken_twice_changes_nothing_more(world: World) -> None:
    assert world.rotation.prepare() == world.rotation.prepare()
    assert world.rotation.activate() == world.rotation.activate()
    world.issue("inventory", "orders")
    assert world.rotation.retire() == world.rotation.retire()


def test_activate_waits_until_live_workloads_can_have_read_the_new_bundle(world: World) -> None:
    world.settle = LONG
    world.rotation.prepare()
    refusal = refusal_of(world.rotation.activate)
    assert refusal.rule == "cut-off"
    assert [each.who for each in refusal.blockers] == [str(INVENTORY), str(ORDERS)]
    assert "may not have read the trust bundle" in str(refusal)
    assert "--force" in str(refusal)
    assert world.rotation.status().blockers == refusal.blockers
    later = datetime.now(UTC) + LONG + timedelta(minutes=1)
    assert world.rotation.status(later).blockers == ()


def test_a_clock_that_was_set_back_lets_no_step_through_early(world: World) -> None:
    world.rotation.prepare()
    world.settle = timedelta(seconds=1)
    back = datetime.now(UTC) - timedelta(minutes=30)
    assert [each.who for each in world.rotation.status(back).blockers] == [
        str(INVENTORY),
        str(ORDERS),
    ]


def test_without_live_workloads_nothing_is_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path, LONG)
    world.rotation.prepare()
    world.rotation.activate()
    assert world.rotation.retire().phase == "steady"


def test_activate_writes_a_bundle_that_lost_the_new_root_and_waits_anew(world: World) -> None:
    world.rotation.prepare()
    old = LocalCA.load(world.root / "ca").bundle.roots[0]
    write_bundle(world.root / "trust", bundle_of(old))
    world.settle = LONG
    assert refusal_of(world.rotation.activate).blockers
    assert len(world.bundle().roots) == 2


def bundle_of(*roots: x509.Certificate) -> TrustBundle:
    return TrustBundle(TrustDomain(DOMAIN), roots)


def test_activate_names_the_workload_whose_own_bundle_lacks_the_new_root(world: World) -> None:
    copy = world.identity("orders") / "ca.crt"
    copy.write_bytes(world.bundle().pem)
    world.rotation.prepare()
    refusal = refusal_of(world.rotation.activate)
    assert [each.who for each in refusal.blockers] == [str(ORDERS)]
    assert f"{copy} lacks the new root" in str(refusal)
    copy.write_bytes(world.bundle().pem)
    assert world.rotation.activate().phase == "activated"


def test_activate_looks_at_further_bundles_that_it_is_told_of(world: World, tmp_path: Path) -> None:
    elsewhere = tmp_path / "partner" / "acme.pem"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(world.bundle().pem)
    rotation = Rotation(
        world.root / "ca",
        trust=world.root / "trust",
        identities=world.root / "identities",
        bundles=[elsewhere],
        settling=Settling(AT_ONCE),
    )
    rotation.prepare()
    assert f"{elsewhere} lacks the new root" in str(refusal_of(rotation.activate))
    elsewhere.write_bytes(world.bundle().pem)
    assert rotation.activate().phase == "activated"


def test_retire_names_who_still_holds_a_certificate_of_the_old_root(world: World) -> None:
    world.rotation.prepare()
    world.rotation.activate()
    world.issue("orders")
    refusal = refusal_of(world.rotation.retire)
    assert [each.who for each in refusal.blockers] == [str(INVENTORY)]
    assert str(world.identity("inventory") / "cert.pem") in str(refusal)
    assert len(world.bundle().roots) == 2
    world.issue("inventory")
    assert world.rotation.retire().phase == "steady"


def test_retire_knows_of_certificates_that_lie_elsewhere_by_the_log(world: World) -> None:
    courier = SpiffeId.for_service(DOMAIN, "courier")
    world.ca.issue(courier)
    world.rotation.prepare()
    world.rotation.activate()
    world.issue("inventory", "orders")
    (blocker,) = refusal_of(world.rotation.retire).blockers
    assert blocker.who == str(courier)
    assert blocker.until is not None
    assert world.rotation.status(blocker.until + timedelta(seconds=1)).blockers == ()
    world.ca.issue(courier)
    assert world.rotation.retire().phase == "steady"


def test_retire_waits_until_new_certificates_can_have_been_taken_up(world: World) -> None:
    world.rotation.prepare()
    world.rotation.activate()
    world.issue("inventory", "orders")
    world.settle = timedelta(minutes=5)
    assert {each.who for each in refusal_of(world.rotation.retire).blockers} == {
        str(INVENTORY),
        str(ORDERS),
    }


def test_retire_waits_for_connections_of_those_that_stay_on_them(world: World) -> None:
    world.rotation.prepare()
    world.rotation.activate()
    world.issue("inventory", "orders")
    world.connections = timedelta(minutes=10)
    world.followers = frozenset({str(ORDERS)})
    (blocker,) = refusal_of(world.rotation.retire).blockers
    assert blocker.who == str(INVENTORY)
    assert "connection that it opened with its old certificate" in blocker.why
    assert blocker.until is not None
    assert world.rotation.status(blocker.until).blockers == ()
    world.followers |= {str(INVENTORY)}
    assert world.rotation.retire().phase == "steady"


def test_an_expired_certificate_holds_nothing_up(world: World) -> None:
    world.ca.issue(
        SpiffeId.for_service(DOMAIN, "gone"),
        lifetime=timedelta(minutes=1),
        now=datetime.now(UTC) - timedelta(hours=1),
    )
    world.rotation.prepare()
    world.rotation.activate()
    world.issue("inventory", "orders")
    assert world.rotation.retire().phase == "steady"


def test_a_forced_step_is_taken_and_the_log_says_whom_it_may_have_cut_off(world: World) -> None:
    world.rotation.prepare()
    world.rotation.activate()
    assert world.rotation.retire(force=True).phase == "steady"
    *_, last = IssuanceLog(world.root / "ca" / "issued.jsonl").entries()
    assert last.event == "retired"
    assert last.forced == (str(INVENTORY), str(ORDERS))


def test_force_does_not_change_the_order_of_steps(world: World) -> None:
    with pytest.raises(RotationRefused, match="no rotation is under way"):
        world.rotation.retire(force=True)


def test_a_step_can_be_waited_for(world: World) -> None:
    world.rotation.prepare()
    world.rotation.activate()
    world.issue("orders")
    rotation = world.rotation
    reissue = threading.Timer(0.05, world.issue, ["inventory"])
    reissue.start()
    assert rotation.when_safe(rotation.retire, 30).phase == "steady"
    reissue.join()


def test_what_is_waited_for_too_long_is_refused_in_the_same_words(world: World) -> None:
    world.rotation.prepare()
    world.rotation.activate()
    rotation = world.rotation
    with pytest.raises(RotationRefused, match="certificate of the old root"):
        rotation.when_safe(rotation.retire, 0)
    with pytest.raises(RotationRefused, match="is not the next step"):
        rotation.when_safe(rotation.prepare, 30)


def test_roots_of_others_stay_in_the_bundle(world: World) -> None:
    foreign = forged.root(DOMAIN).certificate
    write_bundle(world.root / "trust", bundle_of(*world.bundle().roots, foreign))
    world.rotation.prepare()
    world.rotation.activate()
    world.issue("inventory", "orders")
    world.rotation.retire()
    assert foreign in world.bundle().roots
    assert len(world.bundle().roots) == 2


def test_a_bundle_is_written_only_when_it_differs(world: World) -> None:
    assert not sync_bundle(world.root / "trust", world.ca)
    world.rotation.prepare()
    assert not sync_bundle(world.root / "trust", LocalCA.load(world.root / "ca"))


def test_a_rotation_can_change_the_kind_of_key(world: World) -> None:
    world.rotation.prepare(KeyType.RSA_2048)
    world.rotation.activate()
    world.issue("inventory", "orders")
    assert world.works("inventory", "orders")


def test_the_new_roots_key_may_be_moved_away_before_it_signs(world: World) -> None:
    world.rotation.prepare()
    (world.root / "ca" / "2" / "root.key.pem").unlink()
    world.rotation.activate()
    world.issue("inventory", "orders")
    world.rotation.retire()
    assert world.works("inventory", "orders")


def test_a_new_root_never_lies_open_where_the_old_one_was_encrypted(tmp_path: Path) -> None:
    world = World(tmp_path, passphrase=b"secret")
    path = world.root / "ca" / "1" / "intermediate.key.pem"
    path.write_bytes(keys.encode(keys.decode(path.read_bytes(), b"secret")))
    with pytest.raises(CaError) as refusal:
        world.rotation.prepare()
    assert refusal.value.rule == "passphrase"
    assert world.rotation.status().phase == "steady"


def test_plain_keys_become_encrypted_by_a_rotation_with_a_passphrase(world: World) -> None:
    rotation = Rotation(
        world.root / "ca",
        trust=world.root / "trust",
        identities=world.root / "identities",
        passphrase=b"secret",
    )
    rotation.prepare()
    for path in (world.root / "ca" / "2").glob("*.key.pem"):
        assert keys.is_encrypted(path.read_bytes())


def test_only_the_owner_can_read_the_new_keys(world: World) -> None:
    world.rotation.prepare()
    for path in (world.root / "ca").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600 if ".key" in path.name else mode)


def test_a_ca_of_an_earlier_version_rotates_into_the_new_layout(tmp_path: Path) -> None:
    world = World(tmp_path)
    directory = tmp_path / "ca"
    for path in (directory / "1").iterdir():
        path.rename(directory / path.name)
    (directory / "1").rmdir()
    (directory / "ca.json").unlink()
    (directory / "issued.jsonl").unlink()
    world.issue("inventory")
    assert LocalCA.load(directory).generation == 0
    world.rotation.prepare()
    world.rotation.activate()
    world.issue("inventory")
    world.rotation.retire()
    assert world.works("inventory")
    assert {each.name for each in directory.iterdir()} == {"2", "ca.json", "issued.jsonl", "lock"}
