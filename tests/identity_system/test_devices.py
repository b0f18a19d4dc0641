"""Lockout by device cookies: who guesses locks strangers out, never a browser that is known."""

from __future__ import annotations

import contextlib

import httpx
import pytest
from sqlalchemy import Connection, func, select

from identityworld import PASSWORD, Browser, World, new_login
from reference.identity import lockout
from reference.identity.lockout import Try
from reference.identity.tables import attempts

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRONG = "quite another password"
NEW = "another battery of horses"
DEVICE = "__Host-identity-device"
SESSION = "__Host-identity-session"


async def account(world: World, browser: Browser) -> str:
    """A new account, signed up in a browser; its name."""
    login = new_login()
    await browser.sign_up(await browser.get(f"{world.issuer}/login"), login)
    return login


async def tried(world: World, browser: Browser, login: str, password: str) -> int:
    """The status of a try to sign in."""
    form = await browser.get(f"{world.issuer}/login")
    return (await browser.sign_in(form, login, password)).status_code


async def wrong(world: World, browser: Browser, login: str, free: int = 5) -> None:
    """Wrong passwords until a pause of 64 s begins: `free` of them, and one after each pause."""
    form = await browser.get(f"{world.issuer}/login")
    for number in range(free + 5):
        if number >= free:
            world.clock.advance(2 ** (number - free + 1))
        assert (await browser.sign_in(form, login, WRONG)).status_code == 403


async def guess(world: World, login: str) -> None:
    """Wrong passwords for an account, from a browser that nobody knows."""
    async with Browser() as attacker:
        await wrong(world, attacker, login)


async def change(browser: Browser, world: World, old: str, new: str) -> httpx.Response:
    """Asks for another password on the page of the account."""
    page = await browser.get(world.issuer)
    return await browser.send(page, {"old": old, "new": new, "repeat": new})


async def test_who_guesses_does_not_lock_out_a_browser_that_has_signed_in_before(
    world: World, browser: Browser
) -> None:
    login = await account(world, browser)
    await guess(world, login)
    async with Browser() as stranger:
        assert await tried(world, stranger, login, PASSWORD) == 403, "unknown ones share a count"
    assert await tried(world, browser, login, PASSWORD) == 303


async def test_who_guesses_at_one_address_does_not_lock_out_known_browsers_there(
    world: World, browser: Browser
) -> None:
    login = await account(world, browser)
    async with Browser(browser.address) as attacker:
        await wrong(world, attacker, new_login(), 20)
        assert await tried(world, attacker, login, PASSWORD) == 403
    assert await tried(world, browser, login, PASSWORD) == 303


async def test_a_known_browser_has_pauses_of_its_own_and_costs_nobody_else_a_try(
    world: World, browser: Browser
) -> None:
    login = await account(world, browser)
    await wrong(world, browser, login)
    assert await tried(world, browser, login, PASSWORD) == 403
    async with Browser() as stranger:
        assert await tried(world, stranger, login, PASSWORD) == 303
    world.clock.advance(64)
    assert await tried(world, browser, login, PASSWORD) == 303


async def test_a_device_is_known_for_the_accounts_that_signed_in_on_it_and_no_other(
    world: World, browser: Browser
) -> None:
    first, second = await account(world, browser), await account(world, browser)
    async with Browser() as elsewhere:
        other = await account(world, elsewhere)
    for login in (first, second, other):
        await guess(world, login)
    assert await tried(world, browser, first, PASSWORD) == 303
    assert await tried(world, browser, second, PASSWORD) == 303
    assert await tried(world, browser, other, PASSWORD) == 403


async def test_four_accounts_of_one_browser_are_remembered(world: World, browser: Browser) -> None:
    names = [await account(world, browser) for _ in range(5)]
    assert len(browser.cookies[DEVICE]) < 400
    await guess(world, names[0])
    assert await tried(world, browser, names[0], PASSWORD) == 403, "the oldest has made room"
    await guess(world, names[4])
    assert await tried(world, browser, names[4], PASSWORD) == 303


async def test_a_cookie_that_is_changed_made_up_or_too_old_makes_nobody_known(
    world: World, browser: Browser
) -> None:
    login = await account(world, browser)
    good = browser.cookies[DEVICE]
    await guess(world, login)
    turned = [
        good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
        for place in (0, 5, 20, len(good) - 5)
    ]
    for forged in (*turned, "", "x", good[:-1], "A" * 75, good * 40, "%FF", "~"):
        async with Browser() as stranger:
            stranger.cookies[DEVICE] = forged
            assert await tried(world, stranger, login, PASSWORD) == 403, forged
    world.clock.advance(181 * 86400)
    await guess(world, login)
    async with Browser() as old:
        old.cookies[DEVICE] = good
        assert await tried(world, old, login, PASSWORD) == 403


async def test_signing_out_keeps_the_device_and_a_new_password_forgets_all_others(
    world: World, browser: Browser
) -> None:
    login = await account(world, browser)
    async with Browser() as thief:
        assert await tried(world, thief, login, PASSWORD) == 303
        assert "is changed" in (await change(browser, world, PASSWORD, NEW)).text
        await guess(world, login)
        assert await tried(world, thief, login, NEW) == 403, "known by the old password only"
    await browser.follow(await browser.send(await browser.get(f"{world.issuer}/logout"), {}))
    assert await tried(world, browser, login, NEW) == 303


async def test_who_is_signed_in_can_change_the_password_while_others_guess(
    world: World, browser: Browser
) -> None:
    login = await account(world, browser)
    del browser.cookies[DEVICE]
    await guess(world, login)
    assert "is changed" in (await change(browser, world, PASSWORD, NEW)).text


async def test_a_stolen_session_has_five_guesses_at_the_password(
    world: World, browser: Browser
) -> None:
    await account(world, browser)
    for pause in (0, 0, 0, 0, 0, 2, 4, 8, 16, 32):
        world.clock.advance(pause)
        assert "old password is wrong" in (await change(browser, world, WRONG, NEW)).text
    assert "old password is wrong" in (await change(browser, world, PASSWORD, NEW)).text
    world.clock.advance(64)
    assert "is changed" in (await change(browser, world, PASSWORD, NEW)).text


async def test_a_wrong_try_gives_no_device_and_says_nothing_of_one(
    world: World, browser: Browser
) -> None:
    async with Browser() as mine:
        login = await account(world, mine)
        form = await mine.get(f"{world.issuer}/login")
        known = await mine.sign_in(form, login, WRONG)
        assert "set-cookie" in known.headers
        assert DEVICE not in known.headers["set-cookie"]
        form = await browser.get(f"{world.issuer}/login")
        for name in (login, new_login()):
            unknown = await browser.sign_in(form, name, WRONG)
            assert (unknown.status_code, unknown.text.count("wrong")) == (403, 1)
            assert DEVICE not in browser.cookies


async def test_a_try_counts_for_its_address_alike_whether_or_not_there_is_an_account(
    world: World,
) -> None:
    # otherwise a locked account tells itself by leaving its guesser some tries
    async with Browser() as elsewhere:
        theirs = await account(world, elsewhere)
        mine = await account(world, elsewhere)
    for login in (theirs, new_login()):
        async with Browser() as attacker:
            await wrong(world, attacker, login, 20)
            assert await tried(world, attacker, mine, PASSWORD) == 403
        world.clock.advance(4000)


async def test_names_that_do_not_exist_take_no_room(world: World) -> None:
    def guess_all(connection: Connection) -> int:
        for number in range(700):
            count = lockout.of("", f"nobody-{number}", "192.0.2.1", "")
            lockout.begin(connection, Try(count.own, None), world.clock.time())
        found = connection.execute(select(attempts.c.key).where(attempts.c.key.like("n %")))
        return len(found.all())

    assert 150 < await world.identity.database.write(guess_all) <= 256


async def test_counts_of_addresses_and_devices_are_bounded_and_the_oldest_goes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lockout, "MOST", 10)
    now = world.clock.time()

    def guess_from_everywhere(connection: Connection) -> tuple[float, ...]:
        lockout.forget(connection, now + 2 * lockout.FORGOTTEN)
        lockout.begin(connection, lockout.of("an account", "login", "192.0.2.99", ""), now - 1)
        for number in range(25):
            count = lockout.of("", "login", f"192.0.2.{number}", "")
            lockout.begin(connection, count, now + number)
        lockout.forget(connection, now + 30)
        kept = {
            kind: connection.execute(
                select(func.count(), func.min(attempts.c.failed_at)).where(
                    attempts.c.key.like(f"{kind} %")
                )
            ).one()
            for kind in "nsa"
        }
        return (kept["n"][0] + kept["s"][0], kept["s"][1], *kept["a"])

    found = await world.identity.database.write(guess_from_everywhere)
    assert found == (10, now + 16, 1, now - 1), "no lock of an account is pushed out"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
async def test_an_address_of_ipv6_is_counted_with_its_network(
    one: str, other: str, same: bool
) -> None:
    found = [lockout.sign_ups(each).own.key for each in (one, other)]
    assert (found[0] == found[1]) is same


async def test_a_try_that_has_to_come_back_later_is_not_counted(
    world: World, browser: Browser
) -> None:
    async with Browser() as mine:
        login = await account(world, mine)
    with contextlib.ExitStack() as busy:
        for _ in range(world.settings.hashing.at_once + world.settings.hashing.waiting):
            busy.enter_context(world.identity.passwords.turn())
        for _ in range(8):
            assert await tried(world, browser, login, PASSWORD) == 503
    assert await tried(world, browser, login, PASSWORD) == 303
    assert SESSION in browser.cookies
