"""Federated trust domains: their documents are followed, and only for the better."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

import forgedcerts as forged
from bundleendpoint import Answer, BundleEndpoint, document
from meshpact.certs import bundlefetch, federation
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.bundledocument import format_document
from meshpact.certs.ca import LocalCA
from meshpact.certs.federatedsource import FederatedSource
from meshpact.certs.federation import FederatedDomain, Federation
from meshpact.certs.files import write_whole
from meshpact.certs.source import Identity, SourceError
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.testing.sources import PushedSource

OWN = TrustDomain("acme.example")
PARTNER = TrustDomain("partner.example")
LONG = 60.0


def bundle(domain: TrustDomain = PARTNER) -> TrustBundle:
    return TrustBundle(domain, (forged.root(domain.name).certificate,))


class Place:
    """A file with a partner's document, and whoever follows it."""

    def __init__(self, root: Path) -> None:
        self.path = root / "partner.json"
        self.keep = root / "federation"
        self.opened: list[Federation] = []

    def write(self, content: TrustBundle, sequence: int = 1) -> None:
        write_whole(self.path, format_document(content, sequence=sequence))

    def federation(
        self, where: str = "", *, trust: ssl.SSLContext | None = None, refresh: float = 3600.0
    ) -> Federation:
        domain = FederatedDomain(PARTNER, where or str(self.path), refresh)
        made = Federation(OWN, [domain], keep=self.keep, trust=trust)
        self.opened.append(made)
        return made


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    for made in place.opened:
        made.close()


class Told:
    """A subscriber that can be waited for."""

    def __init__(self, made: Federation) -> None:
        self.made = made
        self.change = threading.Condition()
        made.subscribe(self)

    def __call__(self) -> None:
        with self.change:
            self.change.notify_all()

    def until(self, expected: TrustBundle) -> bool:
        with self.change:
            return self.change.wait_for(
                lambda: self.made.bundles.get("partner.example") == expected, LONG
            )


def logged(caplog: pytest.LogCaptureFixture, text: str, made: Federation) -> bool:
    """Whether a line comes up while documents are looked at again and again."""
    pause = threading.Event()
    for _ in range(600):
        if text in caplog.text:
            return True
        made.look()
        pause.wait(0.05)
    return False


def test_a_file_is_read_at_the_start_and_followed(place: Place) -> None:
    first, second = bundle(), bundle()
    place.write(first)
    made = place.federation()
    assert dict(made.bundles) == {"partner.example": first}
    assert made.bundles is made.bundles
    told = Told(made)
    place.write(second, 2)
    assert told.until(second)


BAD_FILES: list[tuple[bytes, str]] = [
    (b"{", "json"),
    (b'{"keys": []}', "empty"),
    (b" " * (2 << 20), "size"),
    (format_document(bundle(OWN), sequence=1), "trust-domain"),
]


@pytest.mark.parametrize(("content", "rule"), BAD_FILES)
def test_a_bad_file_stops_the_start_and_later_changes_nothing(
    place: Place, content: bytes, rule: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = bundle()
    place.write(first)
    made = place.federation()
    write_whole(place.path, content)
    with pytest.raises(SourceError) as refusal:
        place.federation()
    assert refusal.value.rule == rule
    assert str(place.path) in str(refusal.value)
    assert logged(caplog, "the last one stays", made)
    assert dict(made.bundles) == {"partner.example": first}


def test_a_missing_file_stops_the_start(place: Place) -> None:
    with pytest.raises(SourceError, match="cannot be read") as refusal:
        place.federation()
    assert refusal.value.rule == "unreadable"


def test_the_own_domain_is_never_federated(place: Place) -> None:
    place.write(bundle(OWN))
    with pytest.raises(SourceError, match="own trust domain") as refusal:
        Federation(OWN, [FederatedDomain(OWN, str(place.path))])
    assert refusal.value.rule == "trust-domain"


def test_a_domain_that_stands_twice_is_refused(place: Place) -> None:
    place.write(bundle())
    with pytest.raises(SourceError, match="twice"):
        Federation(OWN, [FederatedDomain(PARTNER, str(place.path))] * 2)


@pytest.mark.parametrize("sequence", [6, None])
def test_a_sequence_that_goes_back_is_refused(
    place: Place, sequence: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    first, old, new = bundle(), bundle(), bundle()
    place.write(first, 7)
    made = place.federation()
    stale = json.loads(format_document(old, sequence=6))
    stale["spiffe_sequence"] = sequence
    write_whole(place.path, json.dumps(stale).encode())
    assert logged(caplog, "went back from the sequence 7", made)
    assert dict(made.bundles) == {"partner.example": first}
    told = Told(made)
    place.write(new, 8)
    assert told.until(new)


def test_a_document_on_the_web_is_fetched_and_followed(place: Place) -> None:
    first, second = bundle(), bundle()
    with BundleEndpoint(document(format_document(first, sequence=1))) as endpoint:
        made = place.federation(endpoint.url, trust=endpoint.trust)
        assert dict(made.bundles) == {"partner.example": first}
        told = Told(made)
        endpoint.answer = document(format_document(second, sequence=2))
        made.look()
        assert told.until(second)


def test_the_refresh_hint_of_a_document_counts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(federation, "SHORTEST_REFRESH", 0.01)
    first, second = bundle(), bundle()
    answer = document(format_document(first, sequence=1, refresh_hint=0))
    with BundleEndpoint(answer) as endpoint:
        made = place.federation(endpoint.url, trust=endpoint.trust, refresh=3600.0)
        told = Told(made)
        endpoint.answer = document(format_document(second, sequence=2))
        assert told.until(second)


def redirect(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "https://localhost:1/elsewhere")
    handler.end_headers()


def not_found(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(b" " * (1 << 18))


def lying(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b"{}")


def garbage(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\x00\xff\r\n\r\n")


def packed(handler: BaseHTTPRequestHandler) -> None:
    import gzip

    body = gzip.compress(format_document(bundle(), sequence=9))
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (redirect, "answers 302"),
        (not_found, "answers 404"),
        (endless, "is larger than"),
        (lying, "cannot be fetched"),
        (garbage, "cannot be fetched"),
        (packed, "is not JSON"),
        (document(b"{"), "is not JSON"),
        (document(format_document(bundle(OWN), sequence=9)), "is a CA of acme.example"),
    ],
)
def test_a_bad_answer_from_the_web_changes_nothing(
    place: Place, answer: Answer, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = bundle()
    with BundleEndpoint(document(format_document(first, sequence=1))) as endpoint:
        made = place.federation(endpoint.url, trust=endpoint.trust)
        endpoint.answer = answer
        made.look()
        assert logged(caplog, words, made)
        assert dict(made.bundles) == {"partner.example": first}


def test_an_endpoint_that_says_nothing_is_given_up(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundlefetch, "SILENCE", 0.1)
    go_on = threading.Event()
    with BundleEndpoint(lambda _: (go_on.wait(LONG), None)[1]) as endpoint:
        made = place.federation(endpoint.url, trust=endpoint.trust)
        assert logged(caplog, "its workloads are not trusted", made)
        assert dict(made.bundles) == {}
        go_on.set()


def test_an_endpoint_that_drips_is_given_up(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundlefetch, "FETCH_SECONDS", 0.0)
    with BundleEndpoint(document(format_document(bundle(), sequence=1))) as endpoint:
        made = place.federation(endpoint.url, trust=endpoint.trust)
        assert logged(caplog, "takes longer than", made)


def test_an_endpoint_whose_certificate_nobody_vouches_for_is_not_believed(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with BundleEndpoint(document(format_document(bundle(), sequence=1))) as endpoint:
        made = place.federation(endpoint.url)
        assert logged(caplog, "CERTIFICATE_VERIFY_FAILED", made)
        assert dict(made.bundles) == {}
        assert endpoint.requests == 0


def test_what_came_from_the_web_outlives_a_restart_without_it(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    first = bundle()
    with BundleEndpoint(document(format_document(first, sequence=5))) as endpoint:
        trust = endpoint.trust
        place.federation(endpoint.url, trust=trust)
    assert (place.keep / "partner.example.json").stat().st_mode & 0o777 == 0o600
    made = place.federation(endpoint.url, trust=trust)
    assert dict(made.bundles) == {"partner.example": first}
    assert logged(caplog, "cannot be fetched", made)
    with BundleEndpoint(document(format_document(bundle(), sequence=4))) as endpoint:
        made = place.federation(endpoint.url, trust=endpoint.trust)
        assert logged(caplog, "went back from the sequence 5 to 4", made)
        assert dict(made.bundles) == {"partner.example": first}


def test_a_kept_document_that_is_damaged_is_passed_over(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    first = bundle()
    place.keep.mkdir()
    (place.keep / "partner.example.json").write_bytes(b"{")
    with BundleEndpoint(document(format_document(first, sequence=5))) as endpoint:
        made = place.federation(endpoint.url, trust=endpoint.trust)
        assert dict(made.bundles) == {"partner.example": first}
    assert "is not used" in caplog.text


@pytest.mark.parametrize(
    "url",
    ["http://partner.example/b", "https://u:secret@partner.example/b", "https:///b", "ftp://x/y"],
)
def test_an_address_without_https_or_with_a_user_is_refused(place: Place, url: str) -> None:
    with pytest.raises(SourceError, match="https://HOST/PATH") as refusal:
        place.federation(url)
    assert refusal.value.rule == "address"


def test_a_closed_federation_ends_its_threads_and_keeps_its_bundles(place: Place) -> None:
    def threads() -> set[threading.Thread]:
        return {each for each in threading.enumerate() if each.name == "meshpact-federation"}

    place.write(bundle())
    before = threads()
    made = place.federation()
    (thread,) = threads() - before
    made.close()
    thread.join(LONG)
    assert not thread.is_alive()
    assert "partner.example" in made.bundles


@pytest.fixture
def own(tmp_path: Path) -> Callable[[], Identity]:
    ca = LocalCA.init(tmp_path / "ca", OWN)

    def make() -> Identity:
        svid = ca.issue(SpiffeId.for_service(OWN, "inventory"))
        return Identity(svid, {OWN.name: ca.bundle})

    return make


def test_a_wrapped_source_has_the_bundles_of_federated_domains_too(
    place: Place, own: Callable[[], Identity]
) -> None:
    partner = bundle()
    place.write(partner)
    base = PushedSource(own())
    source = FederatedSource(base, place.federation())
    first = source.current()
    assert first is source.current()
    assert first.svid is base.current().svid
    assert dict(first.bundles) == {**base.current().bundles, "partner.example": partner}


def test_a_wrapped_source_tells_of_both_kinds_of_change(
    place: Place, own: Callable[[], Identity]
) -> None:
    place.write(bundle())
    base = PushedSource(own())
    made = place.federation()
    source = FederatedSource(base, made)
    changes: list[Identity] = []
    told = threading.Semaphore(0)

    def change() -> None:
        changes.append(source.current())
        told.release()

    leave = source.subscribe(change)
    base.push(own())
    assert changes[-1].svid is base.current().svid
    assert told.acquire(timeout=LONG)
    new = bundle()
    place.write(new, 2)
    assert told.acquire(timeout=LONG)
    assert changes[-1].bundles["partner.example"] == new
    leave()
    base.push(own())
    assert len(changes) == 2


def test_a_federated_bundle_never_replaces_that_of_the_identitys_own_domain(
    tmp_path: Path, place: Place
) -> None:
    partners_ca = LocalCA.init(tmp_path / "ca", PARTNER)
    svid = partners_ca.issue(SpiffeId.for_service(PARTNER, "inventory"))
    place.write(bundle())
    source = FederatedSource(
        PushedSource(Identity(svid, {PARTNER.name: partners_ca.bundle})), place.federation()
    )
    assert dict(source.current().bundles) == {PARTNER.name: partners_ca.bundle}
