"""Opaque tokens: the issuer is asked about them, and its word counts for a short while."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest

from guard.situations import thumbprint
from meshpact.interceptors.introspection import (
    PAUSE,
    REFUSED,
    REMEMBERED,
    Introspection,
    read_secret,
)
from meshpact.interceptors.keys import FileKeys, KeysError
from meshpact.testing.hosting import AUDIENCE, Kind, Workbench
from meshpact.testing.tokens import TokenIssuer
from tokens.door import ALL_SHAPES, ISSUER, KINDS, Door, issuer_of, opened, sound, verifier
from tokens.issuerserver import IssuerServer, Page, Request, endless, page, raw, serving

ASK = "/introspect"
SECRET = "p/ä ss:word%"
SIGNED = TokenIssuer("https://signed.test.example")


@dataclass
class Clocks:
    """Wall and monotonic clock at once; goes on when it is told to."""

    begun: float = field(default_factory=time.time)
    ahead: float = 0.0

    def wall(self) -> float:
        return self.begun + self.ahead


@dataclass
class World:
    """An issuer that is asked, and a server of ours that asks it."""

    issuer: IssuerServer
    clocks: Clocks
    door: Door
    secret: Path

    def say(self, **claims: object) -> None:
        """What the issuer answers from now on; None leaves out."""
        base: dict[str, object] = {
            "active": True,
            "sub": "alice",
            "client_id": "app",
            "aud": AUDIENCE,
            "scope": "demo.read",
            "exp": int(self.clocks.wall()) + 600,
        }
        said = {key: value for key, value in (base | claims).items() if value is not None}
        self.issuer.pages[ASK] = page(json.dumps(said))


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as bench:
        yield bench


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, bench: Workbench, tmp_path: Path) -> Iterator[World]:
    kind: Kind = request.param
    clocks = Clocks()
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n", encoding="utf-8")
    secret.chmod(0o600)
    keys = FileKeys(SIGNED.write_jwks(tmp_path / "jwks.json"))
    with serving() as issuer:
        asking = Introspection(
            ISSUER,
            issuer.url(ASK),
            "the mesh",
            secret,
            wall=clocks.wall,
            clock=clocks.wall,
            timeout=1.0 if request.node.callspec.params.get("how") == "hangs" else 20.0,
        )
        tokens = verifier(
            issuer_of(None), issuer_of(keys, SIGNED.name), asking=asking, wall=clocks.wall
        )
        with opened(bench, kind, tokens) as door:
            world = World(issuer, clocks, door, secret)
            world.say()
            yield world


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_an_active_token_names_its_user_on_every_shape(world: World, shape: str) -> None:
    world.say(groups=["staff"])
    assert world.door.refusal("opaque-token", shape) == ""
    [user] = world.door.seen
    assert user is not None
    assert (user.issuer, user.subject, user.bound) == (ISSUER, "alice", False)
    assert user.scopes == {"demo.read"}
    assert user.groups == {"staff"}


def test_the_issuer_is_asked_as_rfc_7662_has_it(world: World) -> None:
    assert world.door.refusal("opaque.token~+/=") == ""
    [request] = world.issuer.requests
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.form == {"token": ["opaque.token~+/="], "token_type_hint": ["access_token"]}
    user, _, password = (
        base64.b64decode(request.headers["authorization"].removeprefix("Basic "))
        .decode()
        .partition(":")
    )
    assert (user, password) == (quote("the mesh", safe=""), quote(SECRET, safe=""))


def test_an_answer_counts_for_a_short_while_and_no_longer(world: World) -> None:
    assert [world.door.refusal("t1") for _ in range(3)] == ["", "", ""]
    assert len(world.issuer.requests) == 1
    world.say(active=False)
    world.clocks.ahead += REMEMBERED
    assert world.door.refusal("t1", "server") == "TOKEN_INVALID"
    assert len(world.issuer.requests) == 2


def test_a_token_that_is_not_active_is_not_asked_about_at_each_call(world: World) -> None:
    world.issuer.pages[ASK] = page('{"active": false}')
    answers = [world.door.call("t1") for _ in range(3)]
    assert {answer.reason for answer in answers} == {"TOKEN_INVALID"}
    assert {answer.code and answer.code.name for answer in answers} == {"UNAUTHENTICATED"}
    assert len(world.issuer.requests) == 1
    world.say()
    world.clocks.ahead += REFUSED
    assert world.door.refusal("t1") == ""


def test_calls_at_once_with_one_token_share_one_question(world: World) -> None:
    together = threading.Barrier(8)

    def call(_: int) -> str:
        with world.door.alone() as door:
            together.wait(30)
            return door.refusal("t1")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(call, range(8))) == {""}
    assert len(world.issuer.requests) == 1


def test_the_word_of_an_issuer_never_outlives_the_token(world: World) -> None:
    world.say(exp=int(world.clocks.wall()) - 1)
    assert world.door.refusal("t1") == "TOKEN_EXPIRED"
    world.say(exp=int(world.clocks.wall()) + 10)
    assert world.door.refusal("t2") == ""
    world.clocks.ahead += 10
    assert world.door.refusal("t2", "server") == "TOKEN_EXPIRED"
    assert len(world.issuer.requests) == 2


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": None},
        {"client_id": None},
        {"aud": None},
        {"aud": "elsewhere"},
        {"aud": []},
        {"exp": None},
        {"exp": "soon"},
        {"iss": "https://other.test.example"},
        {"scope": ["demo.read"]},
        {"token_type": "refresh_token"},
        {"token_type": 1},
        {"nbf": time.time() + 3600},
    ],
    ids=", ".join,
)
def test_an_answer_that_says_too_little_or_something_else_is_refused(
    world: World, claims: dict[str, object]
) -> None:
    world.say(**claims)
    assert world.door.refusal("t1") == "TOKEN_INVALID"


def test_bound_opaque_tokens_are_bound(world: World) -> None:
    world.say(cnf={"x5t#S256": thumbprint(world.door.bench.client("caller").chain_pem)})
    assert world.door.refusal("t1") == ""
    assert world.door.refusal("t1", workload="other") == "TOKEN_BINDING_MISMATCH"
    assert [user and user.bound for user in world.door.seen] == [True]


def _hangs(connection: socket.socket, _: Request) -> None:
    connection.recv(1)  # until the other side has had enough


BAD: dict[str, Page] = {
    "hangs": _hangs,
    "closes": lambda connection, _request: connection.close(),
    "does not know us": page('{"error": "invalid_client"}', status="401 Unauthorized"),
    "is overloaded": page('{"active": true}', status="503 Later"),
    "redirects": page("", status="302 Found", headers={"Location": "/elsewhere"}),
    "sends 10 MB": raw(b" " * 10_000_000),
    "sends 10 MB without a length": endless,
    "says more than it sends": raw(b'{"active": true}', length=1000),
}
UNCLEAR: dict[str, Page] = {
    "finds it malformed": page('{"error": "invalid_request"}', status="400 Bad Request"),
    "fails": page('{"active": true}', status="500 Oops"),
    "sends no JSON": page("active"),
    "sends a list": page("[true]"),
    "does not say": page("{}"),
    "says it in a text": page('{"active": "true"}'),
    "says both": page('{"active": false, "active": true}'),
}


@pytest.mark.parametrize("how", BAD)
def test_an_issuer_that_cannot_be_asked_makes_calls_unavailable(
    world: World, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.issuer.pages[ASK] = BAD[how]
    answer = world.door.call("s3cret-token")
    assert (answer.reason, answer.code and answer.code.name) == ("KEYS_UNAVAILABLE", "UNAVAILABLE")
    assert world.door.refusal("another") == "KEYS_UNAVAILABLE"
    assert len(world.issuer.requests) == 1, "it is left alone for a while"
    assert "tokens cannot be asked about" in caplog.text
    for secret in ("s3cret-token", SECRET, quote(SECRET, safe="")):
        assert secret not in caplog.text
    world.say()
    world.clocks.ahead += PAUSE
    assert world.door.refusal("s3cret-token") == ""


@pytest.mark.parametrize("how", UNCLEAR)
def test_nobody_keeps_others_waiting_by_a_token_that_the_issuer_stumbles_over(
    world: World, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.issuer.pages[ASK] = UNCLEAR[how]
    assert [world.door.refusal("st00mbling") for _ in range(3)] == ["KEYS_UNAVAILABLE"] * 3
    assert len(world.issuer.requests) == 1, "it is not asked about that token for a while"
    assert "tokens cannot be asked about" in caplog.text
    assert "st00mbling" not in caplog.text
    world.say()
    assert world.door.refusal("another") == ""
    assert world.door.refusal("st00mbling") == "KEYS_UNAVAILABLE"
    world.clocks.ahead += PAUSE
    assert world.door.refusal("st00mbling") == ""


def test_a_new_secret_counts_at_once_and_a_readable_one_not_at_all(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.secret.write_text("new", encoding="utf-8")
    assert world.door.refusal("t1") == ""
    [request] = world.issuer.requests
    basic = base64.b64decode(request.headers["authorization"].removeprefix("Basic "))
    assert basic.endswith(b":new")
    world.secret.chmod(0o640)
    assert world.door.refusal("t2") == "KEYS_UNAVAILABLE"
    assert "chmod 600" in caplog.text
    assert len(world.issuer.requests) == 1


def test_signed_tokens_are_still_verified_here_and_not_sent_anywhere(world: World) -> None:
    assert world.door.refusal(sound(SIGNED)) == ""
    assert world.door.refusal(sound(TokenIssuer("https://stranger.example"))) == "TOKEN_INVALID"
    assert world.issuer.requests == []


def test_an_issuer_without_a_key_set_is_asked_about_its_signed_tokens_too(world: World) -> None:
    token = sound(TokenIssuer(ISSUER))
    assert world.door.refusal(token) == ""
    assert [request.form["token"] for request in world.issuer.requests] == [[token]]


def test_a_token_that_is_too_long_is_not_asked_about(world: World) -> None:
    assert world.door.refusal("t" * 8193) == "TOKEN_INVALID"
    assert world.issuer.requests == []


@pytest.mark.parametrize("token", ["", "a b", "a\tb", "=", "a=b", "{}", "a,b", "%61"])
def test_what_is_no_token_is_not_asked_about(world: World, token: str) -> None:
    assert world.door.refusal(token) in ("TOKEN_INVALID", "METADATA_INVALID")
    assert world.issuer.requests == []


@pytest.mark.parametrize("token", ["a.b.c", "eyJ.eyJ.x", "a..b.c-d_e", "e30.e30.AA", "a.b.c.d.e"])
def test_an_opaque_token_may_look_much_like_a_signed_one(world: World, token: str) -> None:
    assert world.door.refusal(token) == ""
    assert [request.form["token"] for request in world.issuer.requests] == [[token]]


@pytest.mark.parametrize(
    "header", ['{"alg":1}', '{"alg":"none"}', '{"alg":"ES256","alg":"x"}', '{"alg"']
)
def test_a_signed_token_with_a_broken_header_is_not_sent_to_anyone(
    world: World, header: str
) -> None:
    assert world.door.refusal(SIGNED.sign(header.encode(), b"{}")) == "TOKEN_INVALID"
    assert world.issuer.requests == []


def test_without_introspection_an_opaque_token_is_refused(bench: Workbench, tmp_path: Path) -> None:
    keys = FileKeys(SIGNED.write_jwks(tmp_path / "jwks.json"))
    with opened(bench, "aio", verifier(issuer_of(keys, SIGNED.name))) as door:
        assert door.refusal("opaque-token") == "TOKEN_INVALID"


@pytest.mark.parametrize(
    ("mode", "content", "words"),
    [
        (0o644, b"secret", "0600 is allowed"),
        (0o620, b"secret", "0600 is allowed"),
        (0o600, b"", "holds no secret"),
        (0o600, b"\n", "holds no secret"),
        (0o600, b"two\nlines", "holds no secret"),
        (0o600, b"\xff", "holds no text"),
        (0o600, b"s" * 5000, "holds no secret"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_and_not_shown(
    tmp_path: Path, mode: int, content: bytes, words: str
) -> None:
    path = tmp_path / "client-secret"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(KeysError, match=words) as caught:
        read_secret(path)
    assert str(path) in str(caught.value)


def test_a_secret_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="No such file"):
        read_secret(tmp_path / "nowhere")
