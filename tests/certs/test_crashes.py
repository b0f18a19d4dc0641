"""A CA whose every change may be cut short by a crash, between any two writes to its files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import crashes
from meshpact.certs.ca import LocalCA, sync_bundle
from meshpact.certs.castate import Store
from meshpact.certs.issuance import IssuanceLog
from meshpact.certs.spiffe import SpiffeId
from rotationworld import DOMAIN, World

COURIER = SpiffeId.for_service(DOMAIN, "courier")


@pytest.fixture
def template(tmp_path: Path) -> World:
    world = World(tmp_path / "template")
    world.issue("inventory", "orders")
    return world


def crashed(change: str, template: Path, out: Path) -> Iterator[Path]:
    """The folder of a CA after each way in which a crash can cut a change short."""
    done = subprocess.run(
        [sys.executable, crashes.__file__, change, str(template), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    times = int(done.stdout)
    assert times > 2
    yield from (out / str(number) for number in range(1, times + 1))


def assert_in_order(world: World) -> None:
    ca = LocalCA.load(world.root / "ca")
    for path in (world.root / "ca").rglob("*"):
        assert not path.name.endswith(".tmp"), path
        if ".key" in path.name:
            assert path.stat().st_mode & 0o777 == 0o600, path
    store = Store(world.root / "ca")
    assert store.leftovers(store.read()[1]) == []
    assert not sync_bundle(world.root / "trust", ca)


@pytest.mark.parametrize(
    ("earlier", "step", "phase"),
    [
        ([], "prepare", "prepared"),
        (["prepare"], "activate", "activated"),
        (["prepare", "activate", "issue"], "retire", "steady"),
    ],
)
def test_a_step_cut_short_anywhere_cuts_nobody_off_and_is_finished_by_taking_it_again(
    template: World, tmp_path: Path, earlier: list[str], step: str, phase: str
) -> None:
    for each in earlier:
        if each == "issue":
            template.issue("inventory", "orders")
        else:
            getattr(template.rotation, each)()
    for root in crashed(step, template.root, tmp_path / "out"):
        world = World(root)
        assert world.works("inventory", "orders")
        world.issue("orders")
        assert world.works("inventory", "orders")
        status = getattr(crashes.rotation(root), step)()
        assert status.phase == phase
        assert_in_order(world)
        assert world.works("inventory", "orders")


def test_a_ca_of_an_earlier_version_rotates_whatever_is_cut_short(
    template: World, tmp_path: Path
) -> None:
    directory = template.root / "ca"
    for path in (directory / "1").iterdir():
        path.rename(directory / path.name)
    (directory / "1").rmdir()
    (directory / "ca.json").unlink()
    for step in ("prepare", "activate", "retire"):
        for root in crashed(step, template.root, tmp_path / step):
            world = World(root)
            assert world.works("inventory", "orders")
            getattr(world.rotation, step)()
            assert_in_order(world)
            assert world.works("inventory", "orders")
        getattr(template.rotation, step)()
        template.issue("inventory", "orders")
    assert not (directory / "root.key.pem").exists()


def test_a_whole_rotation_succeeds_after_a_crash_in_its_first_step(
    template: World, tmp_path: Path
) -> None:
    for root in crashed("prepare", template.root, tmp_path / "out"):
        world = World(root)
        world.rotation.prepare()
        world.rotation.activate()
        world.issue("inventory", "orders")
        assert world.rotation.retire().phase == "steady"
        assert len(world.bundle().roots) == 1
        assert_in_order(world)


def test_a_ca_whose_making_was_cut_short_is_made_by_trying_again(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir()
    for root in crashed("init", template, tmp_path / "out"):
        assert LocalCA.init(root / "ca", DOMAIN).issue(COURIER).id == COURIER


def test_what_was_issued_before_a_crash_is_in_the_log(template: World, tmp_path: Path) -> None:
    for root in crashed("issue", template.root, tmp_path / "out"):
        LocalCA.load(root / "ca").issue(COURIER)
        entries = list(IssuanceLog(root / "ca" / "issued.jsonl").entries())
        assert entries[-1].id == str(COURIER)


def test_an_intermediate_cut_short_is_made_by_trying_again(template: World, tmp_path: Path) -> None:
    for root in crashed("renew", template.root, tmp_path / "out"):
        world = World(root)
        world.issue("orders")
        assert world.works("inventory", "orders")
        world.rotation.prepare()
        assert_in_order(world)
