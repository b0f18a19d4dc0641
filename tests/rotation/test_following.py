"""When a channel goes over to a new identity, decided without a network."""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import TypedDict

import grpc
import pytest

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.errors import SourceError
from meshpact.certs.identity import Identity
from meshpact.clients.following import Following, Rotation
from meshpact.clients.generations import Generation, Generations
from meshpact.testing.authority import Authority
from meshpact.testing.sources import PushedSource
from rotation.domain import Domain

READY, IDLE = grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.IDLE
CONNECTING = grpc.ChannelConnectivity.CONNECTING
FAILING = grpc.ChannelConnectivity.TRANSIENT_FAILURE


class Bounds(TypedDict, total=False):
    """What a Rotation takes."""

    connect: float
    drain: float
    alive: int


class Fake:
    """A channel that does what the test says."""

    def __init__(self, state: grpc.ChannelConnectivity) -> None:
        self.state = state
        self.closed = False

    def unary_unary(self, path: str) -> tuple[Fake, str]:
        return self, path


class World:
    """One channel's following, with a clock and connections set by hand."""

    def __init__(self, rotation: Rotation | None = None) -> None:
        self.domain = Domain(Authority("test.example"))
        self.source: PushedSource = self.domain.source("caller")
        self.opened: list[Fake] = []
        self.comes_up = READY
        first = self.source.current()
        self.now = first.svid.not_before + 60
        self.first = Fake(READY)
        rotation = rotation or Rotation()
        self.generations = Generations(Generation(self.first, first, self.now), rotation.alive)
        self.following = Following(
            self.source,
            self.domain.id_of("server"),
            self.generations,
            self,
            rotation,
            wall=lambda: self.now,
            clock=lambda: self.now,
        )
        self.source.subscribe(self.told)
        self.steps: Generator[float] | None = None
        self.fault: Exception | None = None
        self.state_fault: Exception | None = None

    def told(self) -> None:
        if self.following.told():
            self.steps = self.following.steps()

    def run(self, turns: int = 100) -> bool:
        """Lets it go on for some turns; whether it has finished."""
        assert self.steps is not None
        for _ in range(turns):
            try:
                self.now += next(self.steps)
            except StopIteration:
                return True
        return False

    @property
    def current(self) -> Fake:
        return self.generations.current.channel

    def open(self, identity: Identity) -> Fake:
        if self.fault is not None:
            raise self.fault
        self.opened.append(Fake(self.comes_up))
        return self.opened[-1]

    def state(self, channel: Fake, *, connect: bool) -> grpc.ChannelConnectivity:
        if self.state_fault is not None:
            raise self.state_fault
        return channel.state

    def replace(self, fresh: Generation[Fake]) -> None:
        self.generations.replace(fresh, lambda: None)

    def discard(self, channel: Fake) -> None:
        channel.closed = True


def test_a_connected_channel_takes_the_calls() -> None:
    world = World()
    place = world.generations.place("unary_unary", "/a.B/C")
    world.domain.renew()
    assert world.run()
    assert world.current is world.opened[0]
    assert world.generations.current.methods[place] == (world.opened[0], "/a.B/C")
    assert world.generations.enter().channel is world.opened[0]


def test_a_channel_that_does_not_connect_waits_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.comes_up = CONNECTING
    world.domain.renew()
    assert not world.run(400)
    assert world.current is world.first
    assert "no connection with the new identity within 5 s" in caplog.text
    assert len(caplog.records) == 1
    world.opened[0].state = READY
    assert world.run()
    assert world.current is world.opened[0]


def test_near_its_end_an_identity_is_left_for_one_that_does_not_connect() -> None:
    world = World()
    world.comes_up = CONNECTING
    world.domain.renew()
    assert not world.run()
    ends = world.generations.current.identity
    assert ends is not None
    world.now = ends.svid.not_after - 10 * 60
    assert world.run()
    assert world.current is world.opened[0]


def test_an_identity_that_its_own_mesh_trusts_no_more_is_left_at_once() -> None:
    world = World()
    world.comes_up = CONNECTING
    world.domain.prepare()
    assert not world.run()
    world.domain.activate()
    world.domain.retire()
    assert world.run()
    assert world.current is world.opened[-1]
    assert world.opened[0].closed


@pytest.mark.parametrize("state", [IDLE, FAILING, CONNECTING])
def test_a_channel_without_a_connection_is_replaced_at_once(
    state: grpc.ChannelConnectivity,
) -> None:
    world = World()
    world.first.state, world.comes_up = state, CONNECTING
    world.domain.renew()
    assert world.run(1)
    assert world.current is world.opened[0]


def test_a_still_newer_identity_makes_the_one_on_its_way_pointless() -> None:
    world = World()
    world.comes_up = CONNECTING
    world.domain.renew()
    assert not world.run()
    world.comes_up = READY
    world.domain.renew()
    assert world.run()
    assert world.opened[0].closed
    assert world.current is world.opened[1]
    assert world.generations.current.identity is world.source.current()


def test_what_means_the_same_to_tls_opens_nothing() -> None:
    world = World()
    same = world.source.current()
    partner = TrustBundle.from_pem("partner.example", Authority("partner.example").roots_pem)
    world.source.push(Identity(same.svid, {**same.bundles, "partner.example": partner}))
    assert world.run()
    assert world.opened == []
    assert world.current is world.first


def test_more_connections_than_may_be_wait_for_one_that_has_drained(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(Rotation(alive=2))
    long = world.generations.enter()
    world.domain.renew()
    assert world.run()
    world.domain.renew()
    assert not world.run(400)
    assert world.current is world.opened[0]
    assert "as many connections as may be still drain" in caplog.text
    world.generations.leave(long)
    assert world.generations.remove(long)
    assert not long.cut
    assert world.run()
    assert world.current is world.opened[1]


def test_what_drains_is_cut_only_when_the_identity_in_use_is_no_good() -> None:
    world = World(Rotation(alive=2))
    long = world.generations.enter()
    world.domain.renew()
    assert world.run()
    world.domain.renew()
    used = world.generations.current.identity
    assert used is not None
    world.now = used.svid.not_after - 60
    assert world.run()
    assert world.first.closed
    assert long.cut
    assert world.current is world.opened[1]
    assert len(world.generations.alive) == 2


@pytest.mark.parametrize(
    "fault", [ValueError("no such thing"), SourceError("trust-domain", "not trusted")]
)
def test_an_identity_that_cannot_be_used_leaves_the_old_one_until_the_next(
    caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    world = World()
    world.fault = fault
    world.domain.renew()
    assert world.run()
    assert world.current is world.first
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert str(fault) in caplog.text
    assert "PRIVATE" not in caplog.text
    world.fault = None
    world.domain.renew()
    assert world.run()
    assert world.generations.current.identity is world.source.current()


def test_a_fault_on_the_way_closes_the_new_channel_and_is_not_the_last_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.comes_up = CONNECTING
    world.domain.renew()
    assert not world.run()
    world.state_fault = RuntimeError("gone")
    assert world.run()
    assert world.opened[0].closed
    assert "gone" in caplog.text
    world.state_fault, world.comes_up = None, READY
    world.domain.renew()
    assert world.run()
    assert world.current is world.opened[1]


@pytest.mark.parametrize(
    "bounds", [Bounds(alive=1), Bounds(connect=-1.0), Bounds(drain=-1.0)], ids=str
)
def test_bounds_that_make_no_sense_are_refused(bounds: Bounds) -> None:
    with pytest.raises(ValueError, match="alive from 2 on"):
        Rotation(**bounds)


def test_closing_ends_it_and_closes_what_was_on_its_way() -> None:
    world = World()
    world.comes_up = CONNECTING
    world.domain.renew()
    assert not world.run()
    world.following.close()
    assert world.run(2)
    assert world.opened[0].closed
    assert not world.following.told()


def test_the_last_call_to_end_says_that_a_generation_is_empty() -> None:
    first = Generation(Fake(READY), None, 0.0)
    generations = Generations(first, 3)
    said: list[str] = []
    one, two = generations.enter(), generations.enter()
    generations.replace(Generation(Fake(READY), None, 0.0), lambda: said.append("empty"))
    generations.leave(one)
    assert said == []
    generations.leave(two)
    assert said == ["empty"]
    assert generations.alive[0] is first
    assert generations.remove(first)
    assert not generations.remove(first)
    assert len(generations.alive) == 1


def test_methods_are_made_once_for_each_path_and_shape() -> None:
    generations = Generations(Generation(Fake(READY), None, 0.0), 3)
    places = {generations.place("unary_unary", path) for path in ("/a.B/C", "/a.B/D", "/a.B/C")}
    assert places == {0, 1}
    assert len(generations.current.methods) == 2
