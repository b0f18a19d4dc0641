"""What observers, logs and errors tell of calls with tokens: every end, and nothing of a token."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guard.scripted import path
from guard.watching import Watching
from meshpact.interceptors.errors import Code
from meshpact.interceptors.keys import FileKeys
from meshpact.interceptors.remote_keys import RemoteKeys
from meshpact.testing.hosting import AUDIENCE, Kind, Workbench
from meshpact.testing.tokens import TokenIssuer
from tokens.door import ALL_SHAPES, ISSUER, KINDS, issuer_of, opened, sound, verifier
from tokens.issuerserver import Request, page, serving

ISSUED = TokenIssuer(ISSUER)


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as bench:
        yield bench


SECRETIVE: dict[str, Callable[[], str]] = {
    "sound": lambda: secret_token(ISSUED),
    "expired": lambda: secret_token(lifetime=-10),
    "for another audience": lambda: secret_token(aud="s3cret-audience"),
    "bound elsewhere": lambda: secret_token(cnf={"x5t#S256": "s3cret-thumbprint"}),
    "not sound": lambda: secret_token(jti=""),
    "forged": lambda: secret_token(issuer=TokenIssuer(ISSUER)),
    "of a stranger": lambda: secret_token(iss="https://s3cret-issuer"),
    "opaque": lambda: "s3cret-opaque",
}


def secret_token(issuer: TokenIssuer = ISSUED, *, lifetime: float = 600, **claims: object) -> str:
    return issuer.mint(
        "s3cret-subject",
        audience=[AUDIENCE],
        scopes=["s3cret-scope"],
        groups=["s3cret-group"],
        lifetime=lifetime,
        claims=claims,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", SECRETIVE)
def test_nothing_of_a_token_is_told_to_anyone(
    bench: Workbench, tmp_path: Path, kind: Kind, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    watching = Watching()
    keys = FileKeys(ISSUED.write_jwks(tmp_path / "jwks.json"))
    token = SECRETIVE[what]()
    with opened(bench, kind, verifier(issuer_of(keys)), watching=watching) as door:
        answers = [door.call(token, shape) for shape in ALL_SHAPES]
        for shape in ALL_SHAPES:
            watching.wait(path(shape))
    # hpack is the caller's own here.
    told = [each.getMessage() for each in caplog.records if not each.name.startswith("hpack")]
    told += map(repr, watching.lines)
    told += [span.to_json() for span in watching.spans]
    told += [str(answer.status) + answer.message for answer in answers]
    told += map(str, watching.registry.collect())
    for text in told:
        assert "s3cret" not in text
        assert not any(part in text for part in token.split("."))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_a_call_that_is_cancelled_while_its_keys_are_fetched_is_seen(
    bench: Workbench, kind: Kind, shape: str
) -> None:
    asked, go = threading.Event(), threading.Event()

    def slow(connection: socket.socket, request: Request) -> None:
        asked.set()
        go.wait(30)
        page(ISSUED.jwks)(connection, request)

    watching = Watching()
    with serving() as issuer:
        issuer.pages["/keys"] = slow
        keys = RemoteKeys(issuer.url("/keys"), timeout=30.0)
        tokens = verifier(issuer_of(keys))
        with opened(bench, kind, tokens, watching=watching) as door, door.alone() as leaving:
            leave = leaving.begin(sound(ISSUED), shape)
            assert asked.wait(30)
            leave()
            other = "server" if shape == "unary" else "unary"
            assert leaving.refusal(None, other) == "TOKEN_MISSING", "the server has read so far"
            if kind == "aio":
                watching.wait(path(shape))  # at once, not when the keys are there
            go.set()
            watching.wait(path(shape))
            assert door.refusal(sound(ISSUED, jti="2"), shape) == ""
            watching.wait(path(shape), 2)
    name = path(shape)[1:]
    counts = {key: count for key, count in watching.counts().items() if key[0] == name}
    assert counts == {(name, "CANCELLED"): 1, (name, "OK"): 1}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_a_deadline_that_passes_while_keys_are_fetched_is_seen(
    bench: Workbench, kind: Kind, shape: str
) -> None:
    go = threading.Event()

    def slow(connection: socket.socket, request: Request) -> None:
        go.wait(30)
        page(ISSUED.jwks)(connection, request)

    watching = Watching()
    with serving() as issuer:
        issuer.pages["/keys"] = slow
        tokens = verifier(issuer_of(RemoteKeys(issuer.url("/keys"), timeout=30.0)))
        with opened(bench, kind, tokens, watching=watching) as door:
            answer = door.call(sound(ISSUED), shape, timeout="300m")
            assert answer.code is Code.DEADLINE_EXCEEDED
            go.set()
            watching.wait(path(shape))
    assert watching.counts() == {(path(shape)[1:], "DEADLINE_EXCEEDED"): 1}
