"""Identities from a Workload API: the first one waited for, each later one followed."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import forgedcerts as forged
from fakeagent import FakeAgent, Response, response
from meshpact.certs import workloadapi
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.ca import LocalCA
from meshpact.certs.source import SourceError
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.certs.svid import X509Svid
from meshpact.certs.workloadapi import WorkloadApiSource

INVENTORY = SpiffeId.parse("spiffe://acme.example/inventory")
ORDERS = SpiffeId.parse("spiffe://acme.example/orders")
LONG = 60.0


class Place:
    """A CA, a partner's, and an agent that gives out identities of the first."""

    def __init__(self, root: Path) -> None:
        self.ca = LocalCA.init(root / "ca", "acme.example")
        self.partner = LocalCA.init(root / "partner", "partner.example")
        self.agent = FakeAgent(root / "agent.sock")

    def give(self, *ids: SpiffeId, federated: bool = False) -> list[X509Svid]:
        svids = [self.ca.issue(each) for each in ids or (INVENTORY,)]
        further = [self.partner.bundle] if federated else []
        self.agent.push(response(svids, self.ca.bundle, further))
        return svids

    def source(self, workload: SpiffeId | None = None, wait: float = LONG) -> WorkloadApiSource:
        return WorkloadApiSource(self.agent.address, workload=workload, wait=wait)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    with place.agent:
        yield place


class Told:
    """A subscriber that can be waited for."""

    def __init__(self, source: WorkloadApiSource) -> None:
        self.source = source
        self.change = threading.Condition()
        self.count = 0
        source.subscribe(self)

    def __call__(self) -> None:
        with self.change:
            self.count += 1
            self.change.notify_all()

    def until(self, serial: int) -> bool:
        with self.change:
            return self.change.wait_for(
                lambda: self.source.current().svid.serial == serial and self.count > 0, LONG
            )


def test_the_first_identity_is_there_when_the_source_is(place: Place) -> None:
    (svid,) = place.give(federated=True)
    with place.source() as source:
        identity = source.current()
        assert identity.svid.chain == svid.chain
        assert identity.svid.id == INVENTORY
        assert dict(identity.bundles) == {
            "acme.example": place.ca.bundle,
            "partner.example": place.partner.bundle,
        }
        assert source.current() is identity
    assert place.agent.metadata[0]["workload.spiffe.io"] == "true"


def test_rotation_reaches_subscribers(place: Place) -> None:
    place.give()
    with place.source() as source:
        told = Told(source)
        for federated in (False, True, False):
            (svid,) = place.give(federated=federated)
            assert told.until(svid.serial)
            assert ("partner.example" in source.current().bundles) is federated


def test_the_same_again_is_no_change(place: Place) -> None:
    svid, other = place.ca.issue(INVENTORY), place.ca.issue(INVENTORY)
    place.agent.push(response([svid], place.ca.bundle))
    with place.source() as source:
        first, told = source.current(), Told(source)
        place.agent.push(response([svid], place.ca.bundle))
        place.agent.push(response([other], place.ca.bundle))
        assert told.until(other.serial)
        assert told.count == 1
        assert source.current() is not first


def test_of_several_identities_the_first_or_the_one_asked_for_is_taken(place: Place) -> None:
    place.give(ORDERS, INVENTORY)
    with place.source() as default, place.source(INVENTORY) as asked:
        assert default.current().svid.id == ORDERS
        assert asked.current().svid.id == INVENTORY


def test_without_the_identity_asked_for_nothing_starts(place: Place) -> None:
    place.give(ORDERS)
    with pytest.raises(SourceError, match=r"spiffe://acme\.example/inventory") as refusal:
        place.source(INVENTORY)
    assert refusal.value.rule == "workload-id"
    assert "spiffe://acme.example/orders" in str(refusal.value)


def test_an_agent_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (svid,) = place.give()
    sources: list[WorkloadApiSource] = []
    waiting = threading.Thread(target=lambda: sources.append(place.source()))
    waiting.start()
    with place.agent:
        waiting.join(LONG)
        (source,) = sources
        assert source.current().svid.serial == svid.serial
        source.close()


def test_an_agent_that_restarts_is_found_again(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = place.give()
    with place.source() as source:
        told = Told(source)
        place.agent.stop()
        assert source.current().svid.serial == first.serial
        with place.agent:
            (second,) = place.give()
            assert told.until(second.serial)
    assert "the last identity stays" in caplog.text


def test_a_refusal_of_the_agent_leaves_the_last_identity_in_place(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = place.give()
    with place.source() as source:
        told = Told(source)
        place.agent.refuse(grpc.StatusCode.PERMISSION_DENIED)
        assert place.agent.wait_for_streams(3)
        assert source.current().svid.serial == first.serial
        (second,) = place.give()
        assert told.until(second.serial)
    warnings = [each for each in caplog.records if "has no identity for this" in each.message]
    assert len(warnings) == 1


@contextlib.contextmanager
def warned() -> Generator[threading.Event]:
    """Set once the source logs that something is amiss."""
    event = threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            event.set()

    handler, logger = Handler(logging.WARNING), logging.getLogger(workloadapi.__name__)
    logger.addHandler(handler)
    try:
        yield event
    finally:
        logger.removeHandler(handler)


def cut_key(answer: Response) -> None:
    answer.svids[0].x509_svid_key = answer.svids[0].x509_svid_key[:20]


def cut_chain(answer: Response) -> None:
    answer.svids[0].x509_svid = answer.svids[0].x509_svid[:100]


def no_svids(answer: Response) -> None:
    del answer.svids[:]


def no_bundle(answer: Response) -> None:
    answer.svids[0].bundle = b""


def foreign_key(answer: Response) -> None:
    other = Response.FromString(answer.SerializeToString()).svids[0]
    key = forged.new_key()
    other.x509_svid_key = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    answer.svids[0].CopyFrom(other)


@pytest.mark.parametrize("damage", [cut_key, cut_chain, no_svids, no_bundle, foreign_key])
def test_what_is_unusable_is_not_taken_and_the_next_good_one_is(
    place: Place, damage: Callable[[Response], None], caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = place.give()
    with place.source() as source, warned() as warning:
        told = Told(source)
        bad = response([place.ca.issue(INVENTORY)], place.ca.bundle)
        damage(bad)
        place.agent.push(bad)
        assert warning.wait(LONG)
        assert source.current().svid.serial == first.serial
        (svid,) = place.give()
        assert told.until(svid.serial)
    assert "PRIVATE" not in caplog.text


def test_a_missing_socket_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no socket at .*/nowhere\.sock") as refusal:
        WorkloadApiSource(f"unix://{tmp_path}/nowhere.sock", wait=0.01)
    assert refusal.value.rule == "workload-api"


def test_a_socket_where_nobody_answers_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(SourceError, match=r"nothing answers at .*/dead\.sock"):
        WorkloadApiSource(f"unix://{path}", wait=2.0)


def test_a_process_that_is_not_registered_is_told_so(place: Place) -> None:
    place.agent.refuse(grpc.StatusCode.PERMISSION_DENIED)
    with pytest.raises(SourceError, match="has no identity for this process"):
        place.source(wait=2.0)


def test_an_agent_that_stays_silent_is_given_up(place: Place) -> None:
    with pytest.raises(SourceError, match=r"gave no identity within 0\.2 s"):
        place.source(wait=0.2)


@pytest.mark.parametrize(
    "address",
    [
        "tcp://127.0.0.1:80",
        "/run/agent.sock",
        "unix:agent.sock",
        "unix://host/agent.sock",
        "unix:///",
        "unix:",
        "unix:///run/a.sock?x=1",
        "http://x",
    ],
)
def test_an_address_that_is_none_is_refused_with_the_right_form(address: str) -> None:
    with pytest.raises(SourceError, match="unix:///path/of/socket"):
        WorkloadApiSource(address)


def test_the_address_comes_from_the_environment(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(workloadapi.ADDRESS_VARIABLE, raising=False)
    with pytest.raises(SourceError, match=workloadapi.ADDRESS_VARIABLE):
        WorkloadApiSource()
    place.give()
    monkeypatch.setenv(workloadapi.ADDRESS_VARIABLE, place.agent.address)
    with WorkloadApiSource(wait=LONG) as source:
        assert source.current().svid.id == INVENTORY


def test_a_closed_source_keeps_its_identity_and_ends_its_stream(place: Place) -> None:
    place.give()
    source = place.source()
    identity = source.current()
    source.close()
    source.close()
    assert source.current() is identity
    names = [each.name for each in threading.enumerate()]
    assert "meshpact-workload-api" not in names


def test_an_svid_that_cannot_be_called_is_taken_with_a_warning(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    root, key = forged.root(), forged.new_key()
    leaf = forged.leaf(root, key=key, dns=[])
    svid = X509Svid.from_pem(forged.pem(leaf), forged.key_pem(key))
    bundle = TrustBundle(TrustDomain("acme.example"), (root.certificate,))
    place.agent.push(response([svid], bundle))
    with caplog.at_level(logging.WARNING), place.source() as source:
        assert source.current().svid.id == INVENTORY
    assert "no DNS name" in caplog.text


def test_without_the_extra_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spiffe", None)
    monkeypatch.delitem(sys.modules, "meshpact.certs.workloadstream", raising=False)
    with pytest.raises(SourceError, match=r"pip install 'meshpact\[workload-api\]'"):
        WorkloadApiSource("unix:///run/agent.sock")
