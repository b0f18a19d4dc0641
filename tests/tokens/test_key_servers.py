"""Keys from an issuer's web server: fetched once, kept fresh, and never believed from a bad one."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

import forgedcerts as forged
from meshpact.interceptors.keys import TRUSTED, KeysError
from meshpact.interceptors.remote_keys import COOLDOWN, LEAST_AGE, MOST_AGE, RemoteKeys
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.tokens import TokenIssuer, key_set
from tokens.door import ISSUER, KINDS, Door, issuer_of, opened, sound, verifier
from tokens.issuerserver import IssuerServer, Page, Request, endless, page, raw, serving

OLD = TokenIssuer(ISSUER, key_id="old")
NEW = TokenIssuer(ISSUER, key_id="new")
KEYS, METADATA = "/keys", "/.well-known/openid-configuration"


@dataclass
class Clock:
    """Goes on when it is told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """An issuer's server, and a server of ours that takes its keys."""

    issuer: IssuerServer
    keys: RemoteKeys
    clock: Clock
    door: Door

    def pass_cooldown(self) -> None:
        self.clock.now += COOLDOWN

    def settle(self) -> None:
        """Waits for the fetch that runs in the background."""
        self.keys.refresh()


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as bench:
        yield bench


@pytest.fixture
def issuer() -> Iterator[IssuerServer]:
    with serving() as server:
        server.pages[KEYS] = page(OLD.jwks)
        yield server


@pytest.fixture(params=KINDS)
def world(
    request: pytest.FixtureRequest, bench: Workbench, issuer: IssuerServer
) -> Iterator[World]:
    clock = Clock()
    hangs = request.node.callspec.params.get("how") in ("hangs", "hangs within", "drips")
    keys = RemoteKeys(issuer.url(KEYS), clock=clock, timeout=1.0 if hangs else 20.0)
    with opened(bench, request.param, verifier(issuer_of(keys))) as door:
        yield World(issuer, keys, clock, door)


@pytest.fixture(params=KINDS)
def discovering(
    request: pytest.FixtureRequest, bench: Workbench, issuer: IssuerServer
) -> Iterator[World]:
    clock = Clock()
    keys = RemoteKeys(issuer.url(METADATA), issuer=ISSUER, clock=clock, timeout=20.0)
    issuer.pages[METADATA] = metadata(jwks_uri=issuer.url(KEYS))
    with opened(bench, request.param, verifier(issuer_of(keys))) as door:
        yield World(issuer, keys, clock, door)


def metadata(**members: object) -> Page:
    return page(json.dumps({"issuer": ISSUER, **members}))


def test_keys_are_fetched_when_first_needed_and_then_kept(world: World) -> None:
    assert world.issuer.requests == []
    assert [world.door.refusal(sound(OLD, jti=str(n))) for n in range(3)] == ["", "", ""]
    assert [request.path for request in world.issuer.requests] == [KEYS]


def test_calls_at_once_share_one_fetch(world: World) -> None:
    together = threading.Barrier(12)

    def call(number: int) -> str:
        with world.door.alone() as door:
            together.wait(30)
            return door.refusal(sound(OLD, jti=str(number)))

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(call, range(12))) == {""}
    assert len(world.issuer.requests) == 1


def test_a_caller_that_goes_away_takes_the_fetch_from_nobody(world: World) -> None:
    asked, go = threading.Event(), threading.Event()

    def slow(connection: socket.socket, request: Request) -> None:
        asked.set()
        go.wait(30)
        page(OLD.jwks)(connection, request)

    world.issuer.pages[KEYS] = slow
    with world.door.alone() as gone, world.door.alone() as stays, ThreadPoolExecutor(1) as pool:
        leave = gone.begin(sound(OLD, jti="gone"))
        assert asked.wait(30)
        leave()
        waiting = pool.submit(stays.refusal, sound(OLD, jti="stays"))
        go.set()
        assert waiting.result() == ""
    assert len(world.issuer.requests) == 1


def test_a_new_key_is_fetched_after_the_cooldown_for_unknown_key_ids(world: World) -> None:
    assert world.door.refusal(sound(OLD)) == ""
    world.issuer.pages[KEYS] = page(key_set(OLD, NEW))
    assert world.door.refusal(sound(NEW)) == "TOKEN_INVALID"
    world.pass_cooldown()
    assert world.door.refusal(sound(NEW)) == ""
    assert world.door.refusal(sound(OLD)) == ""
    assert len(world.issuer.requests) == 2


def test_made_up_key_ids_do_not_lead_to_more_fetches(world: World) -> None:
    assert world.door.refusal(sound(OLD)) == ""
    world.pass_cooldown()
    for number in range(20):
        forged = TokenIssuer(ISSUER, key_id=f"made-up-{number}")
        assert world.door.refusal(sound(forged)) == "TOKEN_INVALID"
    assert len(world.issuer.requests) == 2


def test_a_key_id_with_a_path_in_it_leads_to_no_fetch(world: World) -> None:
    assert world.door.refusal(sound(OLD)) == ""
    world.pass_cooldown()
    for key_id in ("../keys", "/etc/passwd", "a/../b", "c:\\keys", "http://127.0.0.1/keys", "~"):
        assert world.door.refusal(sound(TokenIssuer(ISSUER, key_id=key_id))) == "TOKEN_INVALID"
    assert len(world.issuer.requests) == 1


@pytest.mark.parametrize(
    ("cache_control", "age"),
    [
        ("public, max-age=120", 120.0),
        ("max-age=0", LEAST_AGE),
        ("no-store", LEAST_AGE),
        ("max-age=99999999", MOST_AGE),
    ],
)
def test_a_removed_key_is_gone_once_the_set_is_too_old(
    world: World, cache_control: str, age: float
) -> None:
    headers = {"Cache-Control": cache_control}
    world.issuer.pages[KEYS] = page(key_set(OLD, NEW), headers=headers)
    token = sound(OLD)
    assert world.door.refusal(token) == ""
    world.issuer.pages[KEYS] = page(NEW.jwks)
    world.clock.now += age - 1
    assert world.door.refusal(token) == ""
    assert len(world.issuer.requests) == 1
    world.clock.now += 1
    assert world.door.refusal(token) == ""  # used on, while it is fetched anew
    world.settle()
    assert world.door.refusal(token) == "TOKEN_INVALID"
    assert world.door.refusal(sound(NEW)) == ""
    assert len(world.issuer.requests) == 2


def test_keys_of_a_server_that_is_down_are_believed_for_a_bounded_time(world: World) -> None:
    assert world.door.refusal(sound(OLD)) == ""
    world.issuer.pages[KEYS] = page("{}", status="503 Service Unavailable")
    world.clock.now += MOST_AGE
    assert world.door.refusal(sound(OLD)) == ""
    world.settle()
    assert world.door.refusal(sound(OLD)) == ""
    answer = world.door.call(sound(NEW))
    assert (answer.reason, answer.code and answer.code.name) == ("KEYS_UNAVAILABLE", "UNAVAILABLE")
    world.clock.now += TRUSTED
    assert world.door.refusal(sound(OLD)) == "KEYS_UNAVAILABLE"
    world.settle()
    world.issuer.pages[KEYS] = page(OLD.jwks)
    world.pass_cooldown()
    assert world.door.refusal(sound(OLD)) == ""


BAD: dict[str, Callable[[IssuerServer], Page]] = {
    "hangs": lambda server: server.hang,
    "hangs within": lambda server: server.hang_within,
    "drips": lambda server: server.drip,
    "says more than it sends": lambda _: raw(OLD.jwks.encode(), length=100_000),
    "says less than it sends": lambda _: raw(OLD.jwks.encode(), length=20),
    "says a length that is none": lambda _: page(OLD.jwks, headers={"Content-Length": "x"}),
    "redirects": lambda server: page(
        "", status="302 Found", headers={"Location": server.url("/elsewhere")}
    ),
    "sends 10 MB": lambda _: raw(b" " * 10_000_000),
    "sends 10 MB without a length": lambda _: endless,
    "sends no HTTP": lambda _: lambda connection, _request: connection.sendall(b"220 smtp\r\n"),
    "closes": lambda _: lambda connection, _request: connection.close(),
    "compresses": lambda _: page(OLD.jwks, headers={"Content-Encoding": "gzip"}),
    "fails": lambda _: page(OLD.jwks, status="500 Oops"),
    "has nothing": lambda _: page("", status="204 No Content"),
    "sends a page for people": lambda _: page("<html>Sign in</html>"),
    "sends half of the JSON": lambda _: page(OLD.jwks[:-10]),
    "sends a list": lambda _: page("[]"),
    "sends no list of keys": lambda _: page('{"keys": {}}'),
    "names keys twice": lambda _: page(OLD.jwks[:-1] + ', "keys": []}'),
    "sends too many keys": lambda _: page(key_set(OLD, further=["x"] * 100)),
    "sends a private key": lambda _: page(key_set(OLD, further=[NEW.private_jwk])),
    "sends its own private key": lambda _: page(json.dumps({"keys": [OLD.private_jwk]})),
    "sends a symmetric key": lambda _: page(key_set(OLD, further=[{"kty": "oct", "k": "AAAA"}])),
    "sends no key of use": lambda _: page(key_set(further=[{**OLD.jwk, "use": "enc"}, {}, 1])),
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_server_makes_calls_unavailable_until_it_is_a_good_one(
    world: World, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.issuer.pages["/elsewhere"] = page(OLD.jwks)
    world.issuer.pages[KEYS] = BAD[how](world.issuer)
    token = sound(OLD)
    answer = world.door.call(token)
    assert (answer.reason, answer.code and answer.code.name) == ("KEYS_UNAVAILABLE", "UNAVAILABLE")
    assert answer.status is not None
    assert any(detail.type_url.endswith("RetryInfo") for detail in answer.status.details)
    assert [request.path for request in world.issuer.requests] == [KEYS]
    [told] = {record.message for record in caplog.records if record.name == "meshpact.keys"}
    assert world.issuer.url(KEYS) in told
    assert token not in caplog.text
    world.issuer.pages[KEYS] = page(OLD.jwks)
    world.pass_cooldown()
    assert world.door.refusal(token) == ""


@pytest.mark.parametrize("how", BAD)
def test_a_server_that_turns_bad_leaves_the_keys_as_they_were(world: World, how: str) -> None:
    assert world.door.refusal(sound(OLD)) == ""
    world.issuer.pages[KEYS] = BAD[how](world.issuer)
    world.clock.now += MOST_AGE
    assert world.door.refusal(sound(OLD, jti="2")) == ""
    world.settle()
    assert world.door.refusal(sound(OLD, jti="3")) == ""


def test_keys_that_cannot_be_used_leave_the_good_ones_beside_them(world: World) -> None:
    further: list[object] = [
        1,
        {},
        {"kty": "XMSS", "kid": "post-quantum"},
        {**NEW.jwk, "x": "AAAA"},
        {**NEW.jwk, "crv": "P-999"},
        {"kty": "RSA", "kid": "short", "n": "AQAB", "e": "AQAB"},
        {**NEW.jwk, "use": "enc"},
        {**NEW.jwk, "key_ops": ["sign"]},
    ]
    world.issuer.pages[KEYS] = page(key_set(OLD, further=further))
    assert world.door.refusal(sound(OLD)) == ""
    assert world.door.refusal(sound(NEW)) == "TOKEN_INVALID"


def test_an_issuer_that_has_removed_all_its_keys_has_no_valid_token(world: World) -> None:
    assert world.door.refusal(sound(OLD)) == ""
    world.issuer.pages[KEYS] = page('{"keys": []}')
    world.clock.now += MOST_AGE
    world.door.refusal(sound(OLD))
    world.settle()
    assert world.door.refusal(sound(OLD)) == "TOKEN_INVALID"


@pytest.mark.parametrize("kind", ["text/plain", "application/jwk-set+json; charset=utf-8", ""])
def test_the_content_type_does_not_matter(world: World, kind: str) -> None:
    world.issuer.pages[KEYS] = page(OLD.jwks, headers={"Content-Type": kind})
    assert world.door.refusal(sound(OLD)) == ""


def test_an_issuers_metadata_say_where_its_keys_are(discovering: World) -> None:
    assert discovering.door.refusal(sound(OLD)) == ""
    assert [request.path for request in discovering.issuer.requests] == [METADATA, KEYS]


def test_keys_that_move_are_found_again(discovering: World) -> None:
    world = discovering
    assert world.door.refusal(sound(OLD)) == ""
    del world.issuer.pages[KEYS]
    world.issuer.pages["/moved"] = page(NEW.jwks)
    world.issuer.pages[METADATA] = metadata(jwks_uri=world.issuer.url("/moved"))
    world.pass_cooldown()
    assert world.door.refusal(sound(NEW)) == "KEYS_UNAVAILABLE"
    world.pass_cooldown()
    assert world.door.refusal(sound(NEW)) == ""


LIES: dict[str, dict[str, object]] = {
    "another issuer": {"issuer": "https://other.test.example"},
    "almost this issuer": {"issuer": ISSUER + "/"},
    "no issuer": {"issuer": None},
    "no address": {"jwks_uri": None},
    "an address without TLS": {"jwks_uri": "http://192.0.2.1/keys"},
    "a file": {"jwks_uri": "file:///etc/passwd"},
    "an address with a password": {"jwks_uri": "https://a:b@issuer.test.example/keys"},
    "a list of addresses": {"jwks_uri": ["https://issuer.test.example/keys"]},
}


@pytest.mark.parametrize("lie", LIES)
def test_metadata_that_lie_are_not_believed(discovering: World, lie: str) -> None:
    discovering.issuer.pages[METADATA] = metadata(
        **{"jwks_uri": discovering.issuer.url(KEYS), **LIES[lie]}
    )
    assert discovering.door.refusal(sound(OLD)) == "KEYS_UNAVAILABLE"
    assert [request.path for request in discovering.issuer.requests] == [METADATA]


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.test.example/keys",
        "http://127.0.0.1.evil.example/keys",
        "https://user:password@issuer.test.example/keys",
        "file:///etc/passwd",
        "ftp://127.0.0.1/keys",
        "https:///keys",
        "https://[::1",
        "keys",
        "",
    ],
)
def test_addresses_are_https_or_on_this_machine(url: str) -> None:
    with pytest.raises(KeysError, match="neither https nor on this machine") as caught:
        RemoteKeys(url)
    assert "password@" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_over_https_only_a_server_whose_certificate_is_trusted_is_believed(
    bench: Workbench, tmp_path: Path, kind: Kind
) -> None:
    certificate, key = self_signed("127.0.0.1")
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with serving(tls) as issuer:
        issuer.pages[KEYS] = page(OLD.jwks)
        for verify, reason in ((True, "KEYS_UNAVAILABLE"), (trusting, "")):
            keys = RemoteKeys(issuer.url(KEYS), verify=verify)
            with opened(bench, kind, verifier(issuer_of(keys))) as door:
                assert door.refusal(sound(OLD)) == reason
        assert len(issuer.requests) == 1


def self_signed(address: str) -> tuple[bytes, bytes]:
    """A certificate of its own authority for an IP address, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM), forged.key_pem(key)
