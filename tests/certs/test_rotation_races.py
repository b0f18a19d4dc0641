"""A CA that several processes change, follow and issue from at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from meshpact.certs.ca import CaError, LocalCA, sync_bundle, write_svid
from meshpact.certs.rotation import Rotation
from meshpact.certs.source import FileSource
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.svid import X509Svid
from rotationworld import DOMAIN, World

_PACE = 0.02
"""Seconds between two certificates: a reader must meet a moment without a write."""
NAMES = ("inventory", "orders", "shipping")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.issue(*NAMES)
    return world


class Keeper(threading.Thread):
    """Keeps the files of one workload up to date, as a supervisor does, until it is stopped."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(daemon=True)
        self._world = world
        self._id = SpiffeId.for_service(DOMAIN, name)
        self._directory = world.identity(name)
        self._stopped = threading.Event()
        self.issued: list[X509Svid] = []
        self.fault: Exception | None = None

    def run(self) -> None:
        ca = LocalCA.load(self._world.root / "ca")
        try:
            while not self._stopped.wait(_PACE):
                ca.refresh()
                sync_bundle(self._world.root / "trust", ca)
                svid = ca.issue(self._id)
                write_svid(self._directory, svid)
                self.issued.append(svid)
        except Exception as error:
            self.fault = error

    def stop(self) -> None:
        """Waits for the end; the fault that it met is raised."""
        self._stopped.set()
        self.join(60)
        if self.fault is not None:
            raise self.fault


def test_rotations_while_others_issue_without_pause_leave_every_workload_trusted(
    world: World,
) -> None:
    keepers = [Keeper(world, name) for name in NAMES]
    for keeper in keepers:
        keeper.start()
    for _ in range(3):
        world.rotation.prepare()
        for step in ("activate", "retire"):
            rotation = world.rotation
            rotation.when_safe(getattr(rotation, step), 60)
            assert world.works(*NAMES)
    for keeper in keepers:
        keeper.stop()
    ca = LocalCA.load(world.root / "ca")
    sync_bundle(world.root / "trust", ca)
    assert set(world.bundle().roots) == set(ca.bundle.roots)
    assert len(ca.bundle.roots) == 1
    assert world.works(*NAMES)
    serials = [svid.serial for keeper in keepers for svid in keeper.issued]
    assert len(set(serials)) == len(serials)


def test_the_same_step_taken_by_several_at_once_is_taken_once(world: World) -> None:
    rotations = [world.rotation for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        prepared = list(pool.map(Rotation.prepare, rotations))
        assert len({status.next for status in prepared}) == 1
        activated = list(pool.map(Rotation.activate, rotations))
        assert {status.generation for status in activated} == {prepared[0].generation + 1}
    assert len(list((world.root / "ca").glob("*/root.pem"))) == 2


def test_a_follower_of_a_ca_that_breaks_keeps_what_it_read_and_issues_nothing(
    world: World,
) -> None:
    follower = LocalCA.load(world.root / "ca")
    bundle = follower.bundle
    path = world.root / "ca" / "ca.json"
    sound = path.read_bytes()
    path.write_bytes(sound[:-20])
    assert follower.changed()
    for use in (follower.refresh, lambda: follower.issue(SpiffeId.for_service(DOMAIN, "orders"))):
        with pytest.raises(CaError) as refusal:
            use()
        assert refusal.value.rule == "state"
    assert follower.bundle == bundle
    path.write_bytes(sound)
    assert not follower.changed()
    assert follower.issue(SpiffeId.for_service(DOMAIN, "orders")).id.path == "/orders"


def test_a_workload_that_read_nothing_since_a_step_is_never_left_behind(world: World) -> None:
    sleeper = FileSource(world.identity("orders"), world.root / "trust").current()
    world.rotation.prepare()
    world.settle = timedelta(hours=1)
    assert str(sleeper.svid.id) in {each.who for each in world.rotation.status().blockers}
