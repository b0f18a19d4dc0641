"""Subscribers to a source of identities: told after each change, and never again once they left."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from meshpact.certs.ca import LocalCA, write_bundle, write_svid
from meshpact.certs.source import FileSource, FixedSource, Identity, IdentitySource
from meshpact.certs.spiffe import SpiffeId
from meshpact.testing.roles import StaticRoles
from meshpact.testing.sources import PushedSource

INVENTORY = SpiffeId.parse("spiffe://acme.example/inventory")
LONG = 60.0


class Place:
    """A CA, the files of one identity, and a source that reads them."""

    def __init__(self, root: Path) -> None:
        self.ca = LocalCA.init(root / "ca", "acme.example")
        self.root = root
        write_bundle(root / "trust", self.ca.bundle)
        self.issue()
        self.source = FileSource(root / "inventory", root / "trust")

    def issue(self) -> int:
        svid = self.ca.issue(INVENTORY)
        write_svid(self.root / "inventory", svid)
        return svid.serial

    def identity(self) -> Identity:
        return Identity(self.ca.issue(INVENTORY), {"acme.example": self.ca.bundle})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


class Told:
    """A subscriber that remembers the serial numbers it found when it was told."""

    def __init__(self, source: IdentitySource) -> None:
        self.source = source
        self.serials: list[int] = []
        self.change = threading.Condition()

    def __call__(self) -> None:
        with self.change:
            self.serials.append(self.source.current().svid.serial)
            self.change.notify_all()

    def sees(self, serial: int) -> bool:
        with self.change:
            return self.change.wait_for(lambda: serial in self.serials, LONG)


def watchers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "meshpact-identity"]


def test_a_subscriber_is_told_when_files_change_though_nobody_asks(place: Place) -> None:
    told = Told(place.source)
    leave = place.source.subscribe(told)
    assert told.sees(place.issue())
    assert told.sees(place.issue())
    leave()


def test_a_change_that_a_reader_found_is_told_to_subscribers(place: Place) -> None:
    told = Told(place.source)
    leave = place.source.subscribe(told)
    serial = place.issue()
    place.source.current()
    assert told.sees(serial)
    leave()


def test_the_thread_that_looks_lives_from_the_first_subscriber_to_the_last(place: Place) -> None:
    before = watchers()
    leave_first = place.source.subscribe(lambda: None)
    (thread,) = [each for each in watchers() if each not in before]
    assert thread.daemon
    leave_second = place.source.subscribe(lambda: None)
    leave_first()
    leave_first()
    assert thread.is_alive()
    leave_second()
    thread.join(LONG)
    assert not thread.is_alive()
    told = Told(place.source)
    leave = place.source.subscribe(told)
    assert told.sees(place.issue())
    leave()


def test_a_subscriber_may_leave_while_it_is_told(place: Place) -> None:
    left = threading.Event()

    def once() -> None:
        leave()
        left.set()

    leave = place.source.subscribe(once)
    place.issue()
    assert left.wait(LONG)


def pushed(place: Place) -> tuple[IdentitySource, Callable[[], object]]:
    source = PushedSource(place.identity())
    return source, lambda: source.push(place.identity())


def files(place: Place) -> tuple[IdentitySource, Callable[[], object]]:
    return place.source, place.issue


@pytest.mark.parametrize("make", [pushed, files])
def test_a_subscriber_that_fails_keeps_no_other_from_being_told(
    place: Place,
    make: Callable[[Place], tuple[IdentitySource, Callable[[], object]]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    source, change = make(place)

    def fail() -> None:
        raise RuntimeError("no")

    told = Told(source)
    leaves = [source.subscribe(fail), source.subscribe(told)]
    change()
    assert told.sees(source.current().svid.serial)
    assert "a subscriber to a source of identities failed" in caplog.text
    for leave in leaves:
        leave()


def test_a_pushed_identity_is_in_place_when_subscribers_are_told(place: Place) -> None:
    source = PushedSource(place.identity())
    told = Told(source)
    leave = source.subscribe(told)
    new = place.identity()
    source.push(new)
    assert told.serials == [new.svid.serial]
    leave()
    source.push(place.identity())
    assert told.serials == [new.svid.serial]


def test_a_fixed_source_takes_subscribers_and_never_tells_them(place: Place) -> None:
    told = Told(FixedSource(place.identity()))
    leave = told.source.subscribe(told)
    leave()
    assert not told.serials


def test_a_subscriber_may_be_collected_while_others_are_told() -> None:
    """The collector may run anywhere, also where the callbacks are being read."""
    roles = StaticRoles()

    def gone_by_then() -> None:
        """What a subscriber does that nobody holds."""

    def come_and_go() -> None:
        for turn in range(2000):
            gc.set_threshold(turn % 20 + 1)
            gone = _Loop()
            weakref.finalize(gone, roles.subscribe(gone_by_then))
            del gone  # a cycle: only the collector finds it
            roles.set({})

    working = threading.Thread(target=come_and_go, daemon=True)
    thresholds = gc.get_threshold()
    try:
        working.start()
        working.join(30)
    finally:
        gc.set_threshold(*thresholds)
    assert not working.is_alive()


class _Loop:
    """Something that holds itself."""

    def __init__(self) -> None:
        self.me = self
