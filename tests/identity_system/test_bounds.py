"""What one person may have at once, and all together: with one more, the oldest ends."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from sqlalchemy import Table, func, select

from identityworld import PASSWORD, Browser, OAuthClient, World, new_login
from reference.identity import grants, usersessions
from reference.identity.tables import accounts, assertions, codes, refresh_tokens, sessions
from reference.identity.tables import grants as granted

pytestmark = pytest.mark.asyncio(loop_scope="module")
SESSION = "__Host-identity-session"
NEW = "another battery of horses"


async def rows(world: World, table: Table) -> int:
    """How many rows a table has."""
    found = await world.identity.database.read(
        lambda c: c.execute(select(func.count()).select_from(table)).scalar()
    )
    return found or 0


async def signed_in(world: World, browser: Browser, login: str) -> httpx.Response:
    """Signs in once more, in a browser that has forgotten its session."""
    browser.cookies.pop(SESSION, None)
    form = await browser.get(f"{world.issuer}/login")
    return await browser.sign_in(form, login)


async def test_with_more_sessions_than_a_person_may_have_the_oldest_ends_with_its_tokens(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    login = new_login()
    await browser.sign_up(await browser.get(f"{world.issuer}/login"), login)
    oldest = dict(browser.cookies)
    tokens = await client.tokens(browser)
    for _ in range(usersessions.MOST):
        world.clock.advance(1)
        assert (await signed_in(world, browser, login)).status_code == 303
    async with Browser() as other:
        other.cookies |= oldest
        assert "make an account" in (await other.get(world.issuer)).text
    assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    page = await browser.get(world.issuer)
    assert page.text.count('action="/sessions/end"') == usersessions.MOST
    assert "(this one)" in page.text


async def test_when_all_together_have_too_many_sessions_newcomers_are_told(
    world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = new_login(), new_login()
    await browser.sign_up(await browser.get(f"{world.issuer}/login"), mine)
    async with Browser() as other:
        await other.sign_up(await other.get(f"{world.issuer}/login"), theirs)
        await other.send(await other.get(f"{world.issuer}/logout"), {})
    monkeypatch.setattr(usersessions, "MOST_IN_ALL", await rows(world, sessions))
    before = await rows(world, sessions), await rows(world, accounts)
    async with Browser() as other:
        refused = (
            await signed_in(world, other, theirs),
            await other.sign_up(await other.get(f"{world.issuer}/login")),
        )
        assert SESSION not in other.cookies
    for answer in refused:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "600")
        assert "Too many people are signed in" in answer.text
    assert (await signed_in(world, browser, mine)).status_code == 303, "one of their own ended"
    assert before == (await rows(world, sessions), await rows(world, accounts))


async def test_with_more_codes_than_a_session_may_have_the_oldest_is_worth_nothing(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    first = await client.code(browser)
    others = [await client.code(browser) for _ in range(grants.MOST_CODES)]
    assert (await client.redeem(first)).json()["error"] == "invalid_grant"
    assert (await client.redeem(others[0])).status_code == 200


async def test_with_more_grants_than_a_session_may_have_the_oldest_ends(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    families: list[str] = []
    for _ in range(grants.MOST_GRANTS + 1):
        families.append((await client.tokens(browser))["refresh_token"])
        world.clock.advance(1)
    assert (await client.refresh(families[0])).json()["error"] == "invalid_grant"
    for each in families[1:]:
        assert (await client.refresh(each)).status_code == 200


async def test_a_family_of_refresh_tokens_ends_when_it_is_too_large(
    world: World, browser: Browser, client: OAuthClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "MOST_TOKENS", 5)
    token = (await client.tokens(browser))["refresh_token"]
    for _ in range(4):
        token = (await client.refresh(token)).json()["refresh_token"]
    assert (await client.refresh(token)).json()["error"] == "invalid_grant"
    assert (await client.tokens(browser))["refresh_token"], "the session goes on"


async def test_the_sweep_keeps_used_codes_to_notice_a_second_use_and_no_others(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    used = await client.code(browser)
    tokens = (await client.redeem(used)).json()
    unused = await client.code(browser)
    before = await rows(world, codes)
    world.clock.advance(61)
    await world.job("retention").run_now()
    assert await rows(world, codes) < before
    assert (await client.redeem(unused)).json()["error"] == "invalid_grant"
    assert (await client.redeem(used)).json()["error"] == "invalid_grant"
    assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_what_is_over_is_forgotten_whole_and_nothing_else(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    over = (await client.tokens(browser))["refresh_token"]
    await client.refresh(over)
    assert (await client.refresh(over)).json()["error"] == "invalid_grant", "the grant has ended"
    tokens = await client.tokens(browser)
    before = await rows(world, accounts)
    await world.job("retention").run_now()
    assert (await client.refresh(tokens["refresh_token"])).status_code == 200
    assert (await client.refresh(over)).json()["error"] == "invalid_grant"
    kept = (sessions, granted, refresh_tokens, codes, assertions)
    assert 0 not in [await rows(world, each) for each in kept[:3]]
    world.clock.advance(12 * 3600 + 1)
    await world.job("retention").run_now()
    assert [await rows(world, each) for each in kept] == [0, 0, 0, 0, 0]
    assert await rows(world, accounts) == before


@pytest.mark.parametrize("how", ["sign out", "end the session", "change the password"])
async def test_whatever_ends_a_session_ends_its_codes_grants_and_tokens(
    world: World, browser: Browser, client: OAuthClient, how: str
) -> None:
    before = {each: await rows(world, each) for each in (codes, granted, refresh_tokens)}
    tokens, code = await client.tokens(browser), await client.code(browser)
    home = await browser.get(world.issuer)
    if how == "sign out":
        await browser.send(await browser.get(f"{world.issuer}/logout"), {})
    elif how == "end the session":
        session = home.text.partition('name="session" value="')[2].partition('"')[0]
        csrf = home.text.partition('name="csrf" value="')[2].partition('"')[0]
        fields = {"session": session, "csrf": csrf}
        await browser.post(f"{world.issuer}/sessions/end", data=fields)
    else:
        old = dict(browser.cookies)
        page = await browser.send(home, {"old": PASSWORD, "new": NEW, "repeat": NEW})
        assert "is changed" in page.text
        assert "(this one)" in page.text
        assert browser.cookies[SESSION] != old[SESSION], "a copy of the cookie is worth nothing"
    assert (await client.redeem(code)).json()["error"] == "invalid_grant"
    assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    asked = await client.post("/introspect", {"token": tokens["access_token"]})
    assert asked.json() == {"active": False}
    for table in (codes, granted, refresh_tokens):
        assert await rows(world, table) == before[table], table


@pytest.mark.parametrize("what", ["password", "session"])
async def test_a_password_change_that_comes_too_late_is_told_and_changes_nothing(
    world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    login = new_login()
    await browser.sign_up(await browser.get(f"{world.issuer}/login"), login)
    hasher = world.identity.passwords
    real = hasher.hash
    theirs = await real("somebody else was faster")
    page = await browser.get(world.issuer)

    async def slow(password: str) -> str:
        table = accounts if what == "password" else sessions
        mine = select(accounts.c.id).where(accounts.c.login == login).scalar_subquery()
        change = (
            accounts.update().where(accounts.c.login == login).values(password=theirs)
            if table is accounts
            else sessions.delete().where(sessions.c.account_id == mine)
        )
        await world.identity.database.write(lambda c: c.execute(change))
        return await real(password)

    with monkeypatch.context() as between:
        between.setattr(hasher, "hash", slow)
        answer = await browser.send(page, {"old": PASSWORD, "new": NEW, "repeat": NEW})
    assert answer.status_code == 400
    assert "was not done" in answer.text
    assert "is changed" not in answer.text
    known = "somebody else was faster" if what == "password" else PASSWORD
    async with Browser() as other:
        form = await other.get(f"{world.issuer}/login")
        assert (await other.sign_in(form, login, NEW)).status_code == 403
        assert (await other.sign_in(form, login, known)).status_code == 303


async def test_of_two_password_changes_at_once_one_is_done_and_told_so(
    world: World, browser: Browser
) -> None:
    login = new_login()
    await browser.sign_up(await browser.get(f"{world.issuer}/login"), login)
    async with Browser() as other:
        assert (await signed_in(world, other, login)).status_code == 303
        pages = [(each, await each.get(world.issuer)) for each in (browser, other)]
        wanted = [f"{NEW} {number}" for number in range(2)]
        answers = await asyncio.gather(
            *(
                each.send(page, {"old": PASSWORD, "new": new, "repeat": new})
                for (each, page), new in zip(pages, wanted, strict=True)
            )
        )
    done = ["is changed. You" in each.text for each in answers]
    assert sorted(done) == [False, True]
    async with Browser() as third:
        form = await third.get(f"{world.issuer}/login")
        statuses = [(await third.sign_in(form, login, each)).status_code for each in wanted]
    assert statuses == [303 if each else 403 for each in done]


async def test_two_refreshes_at_once_give_one_answer_and_end_the_family(
    browser: Browser, client: OAuthClient
) -> None:
    token = (await client.tokens(browser))["refresh_token"]
    answers = await asyncio.gather(*(client.refresh(token) for _ in range(4)))
    good = [each.json() for each in answers if each.status_code == 200]
    assert len(good) == 1
    assert (await client.refresh(good[0]["refresh_token"])).json()["error"] == "invalid_grant"


async def test_two_uses_of_a_code_at_once_give_one_answer_and_end_what_came_of_it(
    browser: Browser, client: OAuthClient
) -> None:
    code = await client.code(browser)
    answers = await asyncio.gather(*(client.redeem(code) for _ in range(4)))
    [good] = [each.json() for each in answers if each.status_code == 200]
    assert (await client.refresh(good["refresh_token"])).json()["error"] == "invalid_grant"
    asked = await client.post("/introspect", {"token": good["access_token"]})
    assert asked.json() == {"active": False}


async def test_a_browser_that_signs_in_again_has_one_session(
    world: World, browser: Browser
) -> None:
    login = new_login()
    await browser.sign_up(await browser.get(f"{world.issuer}/login"), login)
    answer = await browser.get(f"{world.issuer}/login")
    await browser.sign_in(answer, login)
    page = await browser.get(world.issuer)
    assert page.text.count('action="/sessions/end"') == 1
