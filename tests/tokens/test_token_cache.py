"""Verified tokens are remembered: never past their time, their keys, or a bounded number."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from guard.situations import thumbprint
from meshpact.interceptors.call import Caller, EndUser
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.keys import LOOK, TRUSTED, FileKeys, KeysError
from meshpact.interceptors.tokencache import TokenCache, Verified
from meshpact.interceptors.tokens import Tokens
from meshpact.testing.hosting import AUDIENCE, Kind, Workbench
from meshpact.testing.tokens import TokenIssuer, key_set
from tokens.door import ISSUER, KINDS, issuer_of, opened, sound, verifier

FIRST = TokenIssuer(ISSUER, key_id="first")
SECOND = TokenIssuer(ISSUER, key_id="second")


@dataclass
class Clock:
    """Goes on when it is told to."""

    now: float

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as bench:
        yield bench


def write(path: Path, text: str) -> None:
    """Replaces a key set whole, as it should be done."""
    aside = path.with_suffix(".new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    write(path, key_set(FIRST, SECOND))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_whose_key_has_left_the_file_is_refused_within_a_second_of_the_next_look(
    bench: Workbench, path: Path, clock: Clock, kind: Kind
) -> None:
    keys = FileKeys(path, clock=clock)
    token = sound(FIRST)
    with opened(bench, kind, verifier(issuer_of(keys))) as door:
        assert [door.refusal(token), door.refusal(token)] == ["", ""]
        write(path, SECOND.jwks)
        clock.now += LOOK
        keys.refresh()
        assert door.refusal(token) == "TOKEN_INVALID"
        assert door.refusal(sound(SECOND)) == ""
        write(path, key_set(FIRST))
        assert door.refusal(token) == "", "a key that is not known leads to a look at once"


def test_a_look_at_the_file_is_taken_as_calls_come(
    bench: Workbench, path: Path, clock: Clock
) -> None:
    keys = FileKeys(path, clock=clock)
    before = keys.current()
    write(path, SECOND.jwks)
    assert keys.current() is before
    clock.now += LOOK
    deadline = time.monotonic() + 30
    while keys.current() is before and time.monotonic() < deadline:
        os.sched_yield()
    assert keys.current() is not before


def test_a_file_that_is_written_again_with_the_same_keys_is_read_again(
    path: Path, clock: Clock
) -> None:
    keys = FileKeys(path, clock=clock)
    assert not keys.stale("x")
    write(path, key_set(FIRST, SECOND) + "\n")
    assert keys.stale("x")
    keys.refresh()
    assert not keys.stale("x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ('{"keys": 1}', "no list"),
        (key_set(further=[FIRST.private_jwk]), "private"),
        (key_set(further=["x"]), "none of the 1 keys"),
        ('{"keys": [], "keys": []}', "twice"),
        (" " * 300_000, "over 262144 bytes"),
        (None, "No such file"),
    ],
)
def test_a_bad_file_is_reported_once_and_its_keys_stay_for_a_bounded_time(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, text: str | None, words: str
) -> None:
    keys = FileKeys(path, clock=clock)
    before = keys.current()
    if text is None:
        path.unlink()
    else:
        write(path, text)
    for _ in range(3):
        clock.now += LOOK
        keys.refresh()
    [record] = caplog.records
    assert str(path) in record.message
    assert words in record.message
    assert keys.current() is before
    assert keys.failing
    clock.now += TRUSTED
    assert keys.current() is None
    with pytest.raises(KeysError, match=words):
        FileKeys(path)
    write(path, key_set(FIRST))
    keys.refresh()
    assert keys.current() is not None
    assert not keys.failing


def test_a_file_that_never_changes_is_believed_for_ever(path: Path, clock: Clock) -> None:
    keys = FileKeys(path, clock=clock)
    before = keys.current()
    for _ in range(3):
        clock.now += TRUSTED * 0.9
        keys.refresh()
        assert keys.current() is before


def test_a_remembered_token_expires(path: Path) -> None:
    wall = Clock(time.time())
    tokens = verifier(issuer_of(FileKeys(path)), wall=wall)
    header = f"Bearer {sound(FIRST)}"
    found = tokens.find(header, fresh=False)
    assert tokens.find(header, fresh=False) is found
    wall.now = found.user.expires - 0.01
    assert tokens.find(header, fresh=False) is found
    wall.now = found.user.expires
    with pytest.raises(Exception, match="expired"):
        tokens.find(header, fresh=False)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_remembered_of_one_caller_counts_for_that_caller_and_method_only(
    bench: Workbench, path: Path, kind: Kind
) -> None:
    leaf = thumbprint(bench.client("caller").chain_pem)
    bound = sound(FIRST, cnf={"x5t#S256": leaf})
    with opened(bench, kind, verifier(issuer_of(FileKeys(path)))) as door:
        for _ in range(2):
            assert door.refusal(bound) == ""
            assert door.refusal(bound, workload="other") == "TOKEN_BINDING_MISMATCH"
            assert door.refusal(None) == "TOKEN_MISSING"
            assert door.refusal(sound(FIRST, sub="bob")) == ""
    assert [user and user.subject for user in door.seen] == ["alice", "bob"] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_role_taken_away_counts_at_once_for_a_remembered_token(
    bench: Workbench, path: Path, kind: Kind
) -> None:
    token = sound(FIRST)
    with opened(bench, kind, verifier(issuer_of(FileKeys(path)))) as door:
        assert [door.refusal(token), door.refusal(token)] == ["", ""]
        bench.roles.set({})
        assert door.refusal(token) == "ROLE_MISSING"


def verified(until: float = 2e9) -> Verified:
    nothing: frozenset[str] = frozenset()
    user = EndUser(
        issuer=ISSUER,
        subject="s3cret",
        audience=nothing,
        scopes=nothing,
        groups=nothing,
        expires=until,
    )
    return Verified(user, "s3cret", until)


def test_the_cache_is_bounded_and_the_oldest_entry_makes_room() -> None:
    cache = TokenCache(3)
    for number in range(5):
        cache.put(bytes([number]), verified())
    assert len(cache) == 3
    assert [cache.get(bytes([n])) is not None for n in range(5)] == [False, False, True, True, True]
    cache.put(bytes([2]), verified())
    cache.put(bytes([9]), verified())
    assert cache.get(bytes([2])) is not None
    assert cache.get(bytes([3])) is None


def test_remembered_users_are_no_work_for_the_garbage_collector(path: Path) -> None:
    tokens = verifier(issuer_of(FileKeys(path)))
    alice, bob = (
        tokens.find(f"Bearer {sound(FIRST, sub=name, groups=['g'])}", fresh=False)
        for name in ("alice", "bob")
    )
    assert not any(map(gc.is_tracked, (alice, alice.user, bob, bob.user)))
    assert alice.user != bob.user
    for said in ("audience", "scopes", "groups"):
        assert getattr(alice.user, said) is getattr(bob.user, said), said


def test_a_header_that_was_read_before_proves_nothing_of_another_token(path: Path) -> None:
    tokens = verifier(issuer_of(FileKeys(path)))
    known, other = sound(FIRST), sound(FIRST, sub="bob")
    assert tokens.find(f"Bearer {known}", fresh=False).user.subject == "alice"
    header, _, signature = known.split(".")
    _, payload, _ = other.split(".")
    with pytest.raises(StatusError, match="signature does not hold"):
        tokens.find(f"Bearer {header}.{payload}.{signature}", fresh=False)
    second = sound(SECOND, sub="bob").partition(".")[2]
    with pytest.raises(StatusError, match="signature does not hold"):
        tokens.find(f"Bearer {header}.{second}", fresh=False)


def test_nothing_that_holds_a_token_shows_it(path: Path, bench: Workbench) -> None:
    tokens: Tokens = verifier(issuer_of(FileKeys(path)))
    token = FIRST.mint("s3cret", audience=[AUDIENCE], scopes=["s3cret"], groups=["s3cret"])
    found = tokens.find(f"Bearer {token}", fresh=False)
    for shown in (found, found.user, Caller("spiffe://a/b", found.user), tokens):
        assert "s3cret" not in repr(shown)
        assert "s3cret" not in str(shown)
