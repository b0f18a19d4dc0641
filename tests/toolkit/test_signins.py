"""Signing in to a site, within bounds: what is begun, what replaces what, and that the issuer ends
what ended here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from starlette.requests import Request

from acme.identity.v1 import identity_pb2 as pb
from acme.identity.v1.identity_mesh import IntrospectionServiceClient
from databases import sqlite_urls
from identityworld import Browser, World
from reference.web.login import SESSIONS
from reference.web.signins import SPENT, OtherBrowser, SignIns

pytestmark = pytest.mark.asyncio(loop_scope="module")
SESSION = "__Host-streaming-web-session"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    url = sqlite_urls(tmp_path_factory.mktemp("databases"))()
    async with World(tmp_path_factory.mktemp("identity"), url) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with Browser() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def introspection(world: World) -> AsyncIterator[IntrospectionServiceClient]:
    async with world.channel("billing") as channel:
        yield IntrospectionServiceClient(channel)


async def token_of(world: World, cookie: str) -> str:
    """The access token of who has this cookie, as a route of the site gets it."""
    headers = [(b"cookie", f"{SESSION}={cookie}".encode())]
    user = world.login.user(Request({"type": "http", "headers": headers}))
    return await user.token()


async def ended(introspection: IntrospectionServiceClient, token: str) -> None:
    """Waits until the issuer has ended a token."""
    async with asyncio.timeout(30):
        asked = pb.IntrospectTokenRequest(token=token)
        while (await introspection.introspect_token(asked)).active:
            pass


async def signed_up(world: World, browser: Browser, login: str = "") -> str:
    """Signs up through the site; the cookie."""
    page = await browser.open(f"{world.site}/mine")
    await browser.follow(await browser.sign_up(page, login))
    return browser.cookies[SESSION]


async def test_a_session_that_another_replaces_is_ended_at_the_issuer_too(
    world: World, browser: Browser, introspection: IntrospectionServiceClient
) -> None:
    old = await signed_up(world, browser)
    token = await token_of(world, old)
    await browser.open(f"{world.site}/login")
    new = browser.cookies[SESSION]
    assert new != old
    async with Browser() as other:
        other.cookies[SESSION] = old
        assert (await other.get(world.site)).text == "nobody"
    await ended(introspection, token)
    asked = pb.IntrospectTokenRequest(token=await token_of(world, new))
    assert (await introspection.introspect_token(asked)).active, "the new one goes on"


async def test_the_oldest_session_of_a_person_ends_when_there_are_too_many(
    world: World, browser: Browser, introspection: IntrospectionServiceClient
) -> None:
    first = await signed_up(world, browser)
    token = await token_of(world, first)
    cookies: list[str] = []
    for _ in range(SESSIONS):
        browser.cookies.pop(SESSION)  # as another browser, whom the issuer knows all the same
        await browser.open(f"{world.site}/login")
        cookies.append(browser.cookies[SESSION])
    await ended(introspection, token)
    async with Browser() as other:
        other.cookies[SESSION] = first
        assert (await other.get(world.site)).text == "nobody"
        for each in (cookies[0], cookies[-1]):
            other.cookies[SESSION] = each
            assert (await other.get(world.site)).text != "nobody"


async def test_a_session_that_nobody_used_is_ended_at_the_issuer(
    world: World, browser: Browser, introspection: IntrospectionServiceClient
) -> None:
    token = await token_of(world, await signed_up(world, browser))
    world.clock.advance(2 * 3600)
    assert (await browser.get(world.site)).text == "nobody"
    await ended(introspection, token)


async def test_who_signs_out_is_signed_out_at_the_issuer(
    world: World, browser: Browser, introspection: IntrospectionServiceClient
) -> None:
    token = await token_of(world, await signed_up(world, browser))
    csrf = str((await browser.get(f"{world.site}/mine")).json()["csrf"])
    answer = await browser.post(f"{world.site}/logout", data={"csrf": csrf})
    assert answer.headers["location"].startswith(f"{world.issuer}/logout?")
    assert SESSION not in browser.cookies
    await ended(introspection, token)
    await browser.follow(answer)
    assert "Password" in (await browser.open(f"{world.site}/mine")).text


async def test_two_windows_of_one_browser_can_sign_in_at_once(
    world: World, browser: Browser
) -> None:
    begun = [await browser.get(f"{world.site}/login?next=/%3Fwindow={n}") for n in range(2)]
    page = await browser.follow(begun[0])
    done = await browser.follow(await browser.sign_up(page), f"{world.site}/callback")
    later = await browser.follow(begun[1], f"{world.site}/callback")
    for answer, back in ((done, "/?window=0"), (later, "/?window=1")):
        led = await browser.get(answer.headers["location"])
        assert (led.status_code, led.headers["location"]) == (303, back)
    assert (await browser.get(world.site)).text != "nobody"


async def test_sign_ins_that_others_begin_take_nobodys_place() -> None:
    now = 1000.0
    signins = SignIns(lambda: now)
    mine = signins.begin("browser", "/here")
    others = [signins.begin(f"other-{number}", "/") for number in range(SPENT + 10)]
    for number, each in enumerate(others):
        assert signins.known(each.state, f"other-{number}") == each
    assert signins.known(others[-1].state, f"other-{SPENT + 9}") is None, "once"
    with pytest.raises(OtherBrowser):
        signins.known(mine.state, "other")
    assert signins.known(mine.state, "browser") == mine
    late = signins.begin("browser", "/here")
    now += 600
    assert signins.known(late.state, "browser") is None
    forged = late.state.replace(late.state.split(".")[0], str(int(now)))
    for wrong in (forged, "", "a.b.c.d.e", late.state[:-1], "\ud800"):
        assert signins.known(wrong, "browser") is None
    assert signins.begin("browser", "/" + "x" * 1000).back == "/"
