"""An identity near its end is loud: at once, again now and then, and once more when it is past."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

import forgedcerts as forged
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.expiry import REPEAT, Expiry, ExpiryWatch, Stage, expiry, span
from meshpact.certs.identity import Identity
from meshpact.certs.profile import Validity
from meshpact.certs.spiffe import TrustDomain
from meshpact.certs.svid import X509Svid
from meshpact.testing.sources import PushedSource

START = 1_800_000_000.0
HOUR = 3600.0
LONG = 60.0
ROOT = forged.root()


def svid(life: float, *, backdate: float = 300.0, issued: float = START) -> X509Svid:
    key = forged.new_key()
    start = datetime.fromtimestamp(issued, UTC)
    valid = Validity(start - timedelta(seconds=backdate), start + timedelta(seconds=life))
    leaf = forged.leaf(ROOT, key=key, validity=valid)
    return X509Svid.from_pem(forged.pem(leaf), forged.key_pem(key))


def identity(life: float = HOUR, *, issued: float = START) -> Identity:
    bundle = TrustBundle(TrustDomain("acme.example"), (ROOT.certificate,))
    return Identity(svid(life, issued=issued), {"acme.example": bundle})


@pytest.mark.parametrize(
    ("passed", "stage"),
    [
        (0, Stage.SOUND),
        (HOUR * 0.6, Stage.SOUND),
        (HOUR * 0.67, Stage.SOON),
        (HOUR * 0.89, Stage.SOON),
        (HOUR * 0.91, Stage.CLOSE),
        (HOUR - 1, Stage.CLOSE),
        (HOUR, Stage.EXPIRED),
        (HOUR * 9, Stage.EXPIRED),
    ],
)
def test_the_stage_follows_the_part_of_life_that_is_left(passed: float, stage: Stage) -> None:
    found = expiry(svid(HOUR), START + passed)
    assert found.stage is stage
    assert found.left == HOUR - passed
    assert found.not_after == START + HOUR


def test_the_time_before_the_issue_is_no_part_of_life() -> None:
    assert expiry(svid(10), START + 1).stage is Stage.SOUND
    assert expiry(svid(10), START + 8).stage is Stage.SOON
    assert expiry(svid(200, backdate=10), START + 100).stage is Stage.SOUND


def test_the_next_stage_is_known_ahead() -> None:
    found = expiry(svid(HOUR), START)
    assert found.until_next == pytest.approx(HOUR * 2 / 3)
    assert expiry(svid(HOUR), START + found.until_next + 0.1).stage is Stage.SOON
    assert expiry(svid(HOUR), START + HOUR).until_next == float("inf")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (1, "1 second"), (90, "90 seconds"), (1200, "20 minutes"), (9e5, "10 days")],
)
def test_a_length_of_time_is_spelled_in_its_largest_unit(seconds: float, words: str) -> None:
    assert span(seconds) == words


class Clockwork:
    """A watch whose time is set by hand: it looks at each push."""

    def __init__(self) -> None:
        self.now = START
        self.source = PushedSource(identity())
        self.seen: list[Expiry] = []
        self.change = threading.Condition()
        self.watch = ExpiryWatch(self.source, wall=lambda: self.now)
        self.watch.subscribe(self.take)

    def take(self, found: Expiry) -> None:
        with self.change:
            self.seen.append(found)
            self.change.notify_all()

    def until(self, check: Callable[[], bool]) -> bool:
        with self.change:
            return self.change.wait_for(check, LONG)

    def push(self, new: Identity) -> None:
        """Has the watch look at a new identity, and waits until it did."""
        self.source.push(new)
        assert self.until(lambda: self.seen[-1].svid is new.svid)


@pytest.fixture
def clockwork() -> Iterator[Clockwork]:
    made = Clockwork()
    yield made
    made.watch.close()


def test_a_sound_identity_is_told_and_not_logged(
    clockwork: Clockwork, caplog: pytest.LogCaptureFixture
) -> None:
    clockwork.watch.start()
    assert [found.stage for found in clockwork.seen] == [Stage.SOUND]
    assert not caplog.records


@pytest.mark.parametrize(
    ("passed", "level", "words"),
    [
        (HOUR * 0.7, logging.WARNING, "expires in 18 minutes"),
        (HOUR * 0.95, logging.ERROR, "expires in 3 minutes"),
        (HOUR + 600, logging.ERROR, "expired 10 minutes ago"),
    ],
)
def test_an_identity_near_its_end_is_loud_at_once(
    clockwork: Clockwork,
    passed: float,
    level: int,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clockwork.now += passed
    clockwork.watch.start()
    (record,) = caplog.records
    assert record.levelno == level
    assert words in record.getMessage()
    assert "spiffe://acme.example/inventory" in record.getMessage()
    assert "PRIVATE" not in caplog.text


def test_the_same_is_said_again_only_after_a_while(
    clockwork: Clockwork, caplog: pytest.LogCaptureFixture
) -> None:
    clockwork.now += HOUR * 0.7
    clockwork.watch.start()
    for _ in range(3):
        clockwork.push(identity())
    assert len(caplog.records) == 1
    clockwork.now += REPEAT
    clockwork.push(identity())
    assert len(caplog.records) == 2


def test_each_stage_is_said_when_it_is_reached_and_a_renewal_too(
    clockwork: Clockwork, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clockwork.watch.start()
    for passed in (HOUR * 0.7, HOUR * 0.95, HOUR + 1):
        clockwork.now = START + passed
        clockwork.push(identity())
    clockwork.push(identity(issued=clockwork.now))
    assert [found.stage for found in clockwork.seen] == [
        Stage.SOUND,
        Stage.SOON,
        Stage.CLOSE,
        Stage.EXPIRED,
        Stage.SOUND,
    ]
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.WARNING, logging.ERROR, logging.ERROR, logging.INFO]
    assert "was renewed" in caplog.records[-1].getMessage()


def test_time_alone_brings_the_next_stage() -> None:
    issued = datetime.now(UTC).timestamp()
    source = PushedSource(identity(3, issued=issued))
    watch, told = ExpiryWatch(source), threading.Event()
    watch.subscribe(lambda found: told.set() if found.stage is Stage.EXPIRED else None)
    watch.start()
    assert told.wait(LONG)
    watch.close()


def test_a_subscriber_that_fails_keeps_no_other_from_being_told(
    clockwork: Clockwork, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Expiry) -> None:
        raise RuntimeError("no")

    watch = ExpiryWatch(clockwork.source)
    told = threading.Event()
    watch.subscribe(fail)
    watch.subscribe(lambda _: told.set())
    watch.start()
    watch.close()
    assert told.is_set()
    assert "a subscriber to the expiry of an identity failed" in caplog.text


def test_a_closed_watch_has_left_its_source_and_its_thread(clockwork: Clockwork) -> None:
    watch = ExpiryWatch(clockwork.source)
    watch.close()
    watch = ExpiryWatch(clockwork.source)
    watch.start()
    watch.close()
    watch.close()
    assert "meshpact-expiry" not in [each.name for each in threading.enumerate()]
