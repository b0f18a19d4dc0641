"""People sign up, in and out, as a browser would do it."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError

import pytest
from starlette.requests import Request

from identityworld import PASSWORD, Browser, World, new_login, parameters

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def signed_in(world: World, browser: Browser, login: str = "") -> dict[str, str]:
    """Signs up through the site; what its page says then."""
    form = await browser.open(f"{world.site}/mine")
    answer = await browser.follow(await browser.sign_up(form, login))
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


async def test_a_person_signs_up_and_the_site_calls_the_mesh_for_them(
    world: World, browser: Browser
) -> None:
    form = await browser.open(f"{world.site}/mine")
    assert "Sign in to Streaming" in form.text
    login = new_login()
    answer = await browser.follow(await browser.sign_up(form, login))
    assert str(answer.url) == f"{world.site}/mine", "back where it began"
    assert answer.json()["name"] == login
    assert answer.json()["profiles"] == ["Main"]


async def test_the_browser_holds_cookies_and_never_a_token(world: World, browser: Browser) -> None:
    await signed_in(world, browser)
    assert set(browser.cookies) == {
        "__Host-identity-device",
        "__Host-identity-form",
        "__Host-identity-session",
        "__Host-streaming-web-session",
    }
    assert not any(value.count(".") == 2 for value in browser.cookies.values())


async def test_a_second_browser_signs_in_with_the_same_account(
    world: World, browser: Browser
) -> None:
    login = new_login()
    first = await signed_in(world, browser, login)
    async with Browser() as other:
        form = await other.open(f"{world.site}/mine")
        answer = await other.follow(await other.sign_in(form, f" {login.upper()} "))
        assert answer.json()["name"] == first["name"]


async def test_who_is_signed_in_already_is_not_asked_again(world: World, browser: Browser) -> None:
    await signed_in(world, browser)
    del browser.cookies["__Host-streaming-web-session"]
    assert (await browser.open(f"{world.site}/mine")).status_code == 200


async def test_a_sign_in_gives_a_new_session_and_ends_the_browsers_old_one(
    world: World, browser: Browser
) -> None:
    await signed_in(world, browser)
    old = browser.cookies["__Host-identity-session"]
    form = await browser.get(f"{world.issuer}/signup")
    made = {"login": new_login(), "password": PASSWORD, "repeat": PASSWORD}
    await browser.send(form, made)
    assert browser.cookies["__Host-identity-session"] != old
    browser.cookies["__Host-identity-session"] = old
    assert "make an account" in (await browser.get(world.issuer)).text


async def test_signing_out_of_the_site_ends_the_session_everywhere(
    world: World, browser: Browser
) -> None:
    await signed_in(world, browser)
    kept = {name: browser.cookies[name] for name in browser.cookies if "session" in name}
    page = await browser.get(world.site)
    answer = await browser.follow(await browser.send(page, {}))
    assert (str(answer.url), answer.text) == (f"{world.site}/", "nobody")
    assert "__Host-identity-session" not in browser.cookies
    assert "__Host-streaming-web-session" not in browser.cookies
    browser.cookies |= kept
    assert "make an account" in (await browser.get(world.issuer)).text
    assert (await browser.get(world.site)).text == "nobody"


async def test_nobody_signs_another_out_by_a_link(world: World, browser: Browser) -> None:
    await signed_in(world, browser)
    page = await browser.get(f"{world.issuer}/logout?client_id=streaming-web&logout_hint=guess")
    assert "Sign out?" in page.text, "it is asked first"
    assert "Your account" in (await browser.get(world.issuer)).text
    answer = await browser.send(page, {})
    assert answer.headers["location"] == "/"
    assert "make an account" in (await browser.get(world.issuer)).text


async def test_after_signing_out_nobody_is_sent_elsewhere(world: World, browser: Browser) -> None:
    for back in ("https://evil.example/", f"{world.site}.evil.example/", f"{world.site}/mine"):
        asked = {"client_id": "streaming-web", "post_logout_redirect_uri": back}
        answer = await browser.get(f"{world.issuer}/logout", params=asked)
        assert answer.headers["location"] == "/", back


async def test_a_session_that_is_ended_from_elsewhere_ends_at_the_site_with_its_token(
    world: World, browser: Browser
) -> None:
    login = new_login()
    await signed_in(world, browser, login)
    async with Browser() as other:
        form = await other.open(f"{world.issuer}/login")
        page = await other.follow(await other.sign_in(form, login))
        assert "test browser" in page.text
        assert "streaming-web" in page.text
        names = [part.partition('"')[0] for part in page.text.split('name="session" value="')[1:]]
        assert len(names) == 2
        csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        for name in reversed(names):  # its own last
            await other.post(f"{world.issuer}/sessions/end", data={"csrf": csrf, "session": name})
    assert (await browser.get(f"{world.site}/mine")).status_code == 200, "the token lasts"
    world.clock.advance(world.settings.lifetimes.access)
    answer = await browser.get(f"{world.site}/mine")
    assert answer.status_code == 303
    assert "Sign in" in (await browser.follow(answer)).text


async def test_nobody_ends_anothers_session(world: World, browser: Browser) -> None:
    await signed_in(world, browser)
    page = await browser.get(world.issuer)
    name = page.text.partition('name="session" value="')[2].partition('"')[0]
    async with Browser() as other:
        form = await other.open(f"{world.issuer}/signup")
        made = {"login": new_login(), "password": PASSWORD, "repeat": PASSWORD}
        mine = await other.follow(await other.send(form, made))
        csrf = mine.text.partition('name="csrf" value="')[2].partition('"')[0]
        await other.post(f"{world.issuer}/sessions/end", data={"csrf": csrf, "session": name})
    assert "Your account" in (await browser.get(world.issuer)).text


async def test_tokens_are_refreshed_once_for_pages_that_come_at_once(
    world: World, browser: Browser
) -> None:
    await signed_in(world, browser)
    world.clock.advance(world.settings.lifetimes.access - 10)
    answers = await asyncio.gather(*(browser.get(f"{world.site}/mine") for _ in range(8)))
    assert [each.status_code for each in answers] == [200] * 8, "a token used twice ends them all"
    world.clock.advance(world.settings.lifetimes.access)
    assert (await browser.get(f"{world.site}/mine")).status_code == 200


async def test_a_refresh_is_not_lost_with_the_reader_who_asked_for_it(
    world: World, browser: Browser
) -> None:
    await signed_in(world, browser)
    request = Request({"type": "http", "headers": [(b"cookie", _cookies(browser))]})
    user = world.login.user(request)
    before = await user.token()
    world.clock.advance(world.settings.lifetimes.access)
    asked = asyncio.create_task(user.token())
    await asyncio.sleep(0)
    asked.cancel()
    assert (await asyncio.gather(asked, return_exceptions=True))[0].__class__ is CancelledError
    assert await user.token() != before, "the one refresh token was used once"
    assert (await browser.get(f"{world.site}/mine")).status_code == 200


def _cookies(browser: Browser) -> bytes:
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items()).encode()


async def test_a_session_ends_by_itself(world: World, browser: Browser) -> None:
    await signed_in(world, browser)
    world.clock.advance(world.settings.lifetimes.session + 1)
    assert "Sign in" in (await browser.open(f"{world.site}/mine")).text


async def test_an_account_that_may_not_use_a_page_is_told_so(
    world: World, browser: Browser
) -> None:
    async with world.client("dashboard-web") as client:
        page = await browser.open(client.authorize_url(scope="openid sales.read"))
        answer = await browser.follow(await browser.sign_up(page), client.redirect_uri)
        found = parameters(answer)
        assert (found["error"], found["state"]) == ("access_denied", "a-state")
        assert found["iss"] == world.issuer


async def test_staff_sign_in_with_the_passwords_that_were_made_for_them(
    world: World, browser: Browser
) -> None:
    async with world.client("support-web") as client:
        scopes = "openid billing.read billing.refund billing.approve"
        page = await browser.open(client.authorize_url(scope=scopes))
        signed = await browser.sign_in(page, "agent", world.staff_password("agent"))
        code = parameters(await browser.follow(signed, client.redirect_uri))["code"]
        answer = (await client.redeem(code)).json()
        assert answer["scope"] == "billing.read billing.refund openid", "what an agent may have"
        claims = world.identity.protocol.tokens.read(answer["access_token"])
        assert claims is not None
        assert (claims["aud"], claims["groups"]) == ("support.acme.example", ["agent"])
