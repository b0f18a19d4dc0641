"""Passwords: what is taken, how many tries there are, and that nothing tells who has an account."""

from __future__ import annotations

import asyncio

import argon2
import pytest
import zxcvbn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from identityworld import CHEAP, PASSWORD, Browser, World, new_login
from reference.identity import passwords
from reference.identity.passwords import Busy, Passwords
from reference.identity.settings import Hashing
from reference.identity.tables import accounts

pytestmark = pytest.mark.asyncio(loop_scope="module")
WRONG = "quite another password"


async def account(world: World) -> str:
    """A new account's name."""
    login = new_login()
    async with Browser() as browser:
        form = await browser.get(f"{world.issuer}/signup")
        made = {"login": login, "password": PASSWORD, "repeat": PASSWORD}
        assert (await browser.send(form, made)).status_code == 303
    return login


async def tried(world: World, browser: Browser, login: str, password: str) -> tuple[object, ...]:
    """What a try to sign in looks like from outside, and the work it took."""
    form = await browser.get(f"{world.issuer}/login")
    before = world.identity.passwords.computed
    answer = await browser.sign_in(form, login, password)
    work = world.identity.passwords.computed - before
    seen = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, answer.text, tuple(sorted(seen.items())), work


async def test_nothing_tells_an_unknown_account_from_a_wrong_password_or_a_lock(
    world: World, browser: Browser
) -> None:
    login = await account(world)
    wrong = await tried(world, browser, login, WRONG)
    unknown = await tried(world, browser, new_login(), WRONG)
    disabled = await account(world)
    await world.identity.database.write(
        lambda c: c.execute(
            accounts.update().where(accounts.c.login == disabled).values(disabled=True)
        )
    )
    assert wrong[0] == 403
    assert wrong == unknown == await tried(world, browser, disabled, PASSWORD)
    for _ in range(5):
        await tried(world, browser, login, WRONG)
    locked = await tried(world, browser, login, PASSWORD)
    assert locked == wrong, "the right password of a locked account looks like a wrong one"
    assert wrong[3] == 1, "one hash is computed, whatever the answer is"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(login=st.text(max_size=70), password=st.text(max_size=200))
async def test_whatever_is_typed_the_answer_is_the_same(
    world: World, browser: Browser, login: str, password: str
) -> None:
    world.clock.advance(4000)  # no lock is left
    known = await tried(world, browser, "agent", WRONG)
    assert await tried(world, browser, login, password) == known


async def test_each_failure_beyond_the_fifth_doubles_the_pause(
    world: World, browser: Browser
) -> None:
    login = await account(world)
    world.clock.advance(4000)
    for _ in range(5):
        await tried(world, browser, login, WRONG)
    for pause in (2, 4, 8, 16):
        assert (await tried(world, browser, login, PASSWORD))[0] == 403, "locked"
        world.clock.advance(pause * 0.5)
        assert (await tried(world, browser, login, PASSWORD))[0] == 403, "a try does not count"
        world.clock.advance(pause * 0.5)
        await tried(world, browser, login, WRONG)
    world.clock.advance(32)
    assert (await tried(world, browser, login, PASSWORD))[0] == 303
    await tried(world, browser, login, WRONG)
    assert (await tried(world, browser, login, PASSWORD))[0] == 303, "forgotten by signing in"


async def test_an_account_is_locked_wherever_the_tries_come_from(world: World) -> None:
    login = await account(world)
    for _ in range(5):
        async with Browser() as each:
            await tried(world, each, login, WRONG)
    async with Browser() as other:
        assert (await tried(world, other, login, PASSWORD))[0] == 403


async def test_who_tries_many_accounts_is_locked_out_of_all_and_nobody_else_is(
    world: World, browser: Browser
) -> None:
    login = await account(world)
    for _ in range(20):
        await tried(world, browser, new_login(), WRONG)
    assert (await tried(world, browser, login, PASSWORD))[0] == 403
    async with Browser() as other:
        assert (await tried(world, other, login, PASSWORD))[0] == 303
    world.clock.advance(3)
    assert (await tried(world, browser, login, PASSWORD))[0] == 303


async def test_signing_in_to_an_account_of_ones_own_buys_no_more_tries(
    world: World, browser: Browser
) -> None:
    mine, theirs = await account(world), await account(world)
    for _ in range(4):
        await tried(world, browser, theirs, WRONG)
        assert (await tried(world, browser, mine, PASSWORD))[0] == 303
    await tried(world, browser, theirs, WRONG)
    assert (await tried(world, browser, theirs, PASSWORD))[0] == 403


async def test_a_hash_with_weaker_parameters_is_replaced_at_the_next_sign_in(
    world: World, browser: Browser
) -> None:
    login = await account(world)
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, hash_len=16)
    await world.identity.database.write(
        lambda c: c.execute(
            accounts.update().where(accounts.c.login == login).values(password=weak.hash(PASSWORD))
        )
    )
    assert (await tried(world, browser, login, PASSWORD))[0] == 303
    found = await world.identity.database.read(
        lambda c: c.execute(select(accounts.c.password).where(accounts.c.login == login)).scalar()
    )
    assert not argon2.PasswordHasher(1, 8, 1).check_needs_rehash(str(found))
    assert (await tried(world, browser, login, PASSWORD))[0] == 303


async def test_passwords_are_kept_as_argon2id_of_rfc_9106() -> None:
    hasher = Passwords(Hashing())
    try:
        hashed = await hasher.hash(PASSWORD)
        assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
        assert await hasher.verify(hashed, PASSWORD) == (True, "")
        assert await hasher.verify("no hash", PASSWORD) == (False, "")
    finally:
        hasher.close()


async def test_one_password_typed_in_two_ways_is_one_password() -> None:
    hasher = Passwords(CHEAP)
    try:
        hashed = await hasher.hash("cafe\u0301 au lait, encore")
        assert (await hasher.verify(hashed, "caf\u00e9 au lait, encore"))[0]
    finally:
        hasher.close()


async def test_too_many_at_once_are_told_to_come_back() -> None:
    hasher = Passwords(Hashing(1, 8, 1, at_once=1, waiting=0, judged=0))
    try:
        with hasher.turn():
            with pytest.raises(Busy), hasher.turn():
                raise AssertionError
            assert (await hasher.hash(PASSWORD)).startswith("$argon2id$")
        judging = asyncio.create_task(hasher.fault(PASSWORD, "viewer"))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await hasher.fault(PASSWORD, "viewer")
        assert await hasher.fault("short", "viewer"), "needs no judge"
        assert await judging == ""
    finally:
        hasher.close()


async def test_too_long_a_password_is_wrong_for_the_same_work() -> None:
    hasher = Passwords(CHEAP)
    try:
        long = "correct horse " * 40
        hashed = await hasher.hash(long[:512])
        assert (await hasher.verify(hashed, long[:512]))[0]
        assert not (await hasher.verify(hashed, long))[0]
    finally:
        hasher.close()


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "at least 12"),
        ("elevenchars", "at least 12"),
        ("x" * 129, "at most 128"),
        ("password1234", "commonest"),
        ("qwertyuiop12", "commonest"),
        ("iloveyou1234", "commonest"),
        ("111111111111", "commonest"),
        ("viewer-viewer", "commonest"),
        ("correct horse battery staple", ""),
        ("kf83hskd82lsPq", ""),
    ],
)
async def test_a_password_is_long_and_not_a_common_one(password: str, words: str) -> None:
    found = passwords.fault(password, "viewer")
    assert words in found
    assert bool(words) == bool(found)


async def test_a_password_of_many_signs_costs_no_more_than_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # zxcvbn tries every reading of signs as letters: 24 s for these
    looked_at: list[str] = []
    real = zxcvbn.zxcvbn

    def seen(password: str, user_inputs: list[str]) -> object:
        looked_at.append(password)
        return real(password[:16], user_inputs=user_inputs)

    monkeypatch.setattr(zxcvbn, "zxcvbn", seen)
    assert passwords.fault("4@8({[</369&#!1/|0$5+7%2" * 5, "viewer") == ""
    assert passwords.fault("ab" * 64, "viewer")
    assert [len(each) for each in looked_at] == [16, 40]


async def test_a_password_that_is_changed_meanwhile_begins_no_session(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = await account(world)
    hasher = world.identity.passwords
    real = hasher.verify

    async def slow(known: str, password: str) -> tuple[bool, str]:
        found = await real(known, password)
        changed = await hasher.hash("an entirely different one")
        await world.identity.database.write(
            lambda c: c.execute(
                accounts.update().where(accounts.c.login == login).values(password=changed)
            )
        )
        return found

    monkeypatch.setattr(hasher, "verify", slow)
    async with Browser() as browser:
        assert (await tried(world, browser, login, PASSWORD))[0] == 403
        assert "__Host-identity-session" not in browser.cookies


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"login": "ab"}, "3 to 64"),
        ({"login": "a b c"}, "3 to 64"),
        ({"login": "<script>"}, "3 to 64"),
        ({"login": "AGENT"}, "taken"),
        ({"password": "short", "repeat": "short"}, "at least 12"),
        ({"repeat": "something else"}, "not the same"),
    ],
    ids=str,
)
async def test_a_sign_up_says_what_is_wrong_at_the_field_that_is(
    world: World, browser: Browser, change: dict[str, str], words: str
) -> None:
    form = await browser.get(f"{world.issuer}/signup")
    fields = {"login": new_login(), "password": PASSWORD, "repeat": PASSWORD, **change}
    answer = await browser.send(form, fields)
    assert answer.status_code == 400
    field = next(iter(change))
    assert words in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert f'id="{field}-error" role="alert"' in answer.text
    assert "<script>" not in answer.text
    assert PASSWORD not in answer.text, "a password is never sent back"


async def test_one_source_makes_ten_accounts_and_then_waits(world: World, browser: Browser) -> None:
    for number in range(11):
        browser.cookies.clear()
        form = await browser.get(f"{world.issuer}/signup")
        made = {"login": new_login(), "password": PASSWORD, "repeat": PASSWORD}
        answer = await browser.send(form, made)
        assert answer.status_code == (303 if number < 10 else 429)


async def test_a_new_password_ends_all_other_sessions(world: World, browser: Browser) -> None:
    login = await account(world)
    new = "another battery of horses"
    async with Browser() as other:
        for each in (browser, other):
            form = await each.get(f"{world.issuer}/login")
            await each.sign_in(form, login)
        page = await browser.get(world.issuer)
        fields = {"old": WRONG, "new": new, "repeat": new}
        assert "old password is wrong" in (await browser.send(page, fields)).text
        fields["old"] = PASSWORD
        assert "is changed" in (await browser.send(page, fields)).text
        assert "Your account" in (await browser.get(world.issuer)).text
        assert "make an account" in (await other.get(world.issuer)).text
        form = await other.get(f"{world.issuer}/login")
        assert (await other.sign_in(form, login)).status_code == 403
        assert (await other.sign_in(form, login, new)).status_code == 303


async def test_staff_accounts_are_made_once_with_passwords_that_only_the_owner_can_read(
    world: World,
) -> None:
    path = world.state.root / "identity" / "staff-passwords"
    assert path.stat().st_mode & 0o777 == 0o600
    names = [line.split()[0] for line in path.read_text().splitlines()]
    assert names == ["agent", "analyst", "supervisor"]
