"""The pages: forms of others are refused, headers are strict, cookies cannot be forged."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from identityworld import PASSWORD, Browser, World, new_login
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code, StatusError
from meshpact.servers.storage.database import Database
from reference.identity.endpoints import Endpoints
from reference.web.app import Site
from reference.web.clientkey import ClientKey
from reference.web.cookies import HostCookie
from reference.web.issuer import Issuer
from reference.web.login import Login
from reference.web.problems import IssuerError
from reference.web.sessions import Kept

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def signed_in(world: World, browser: Browser) -> str:
    """Signs up through the site; the token for its forms."""
    page = await browser.follow(await browser.sign_up(await browser.open(f"{world.site}/mine")))
    return str(page.json()["csrf"])


@pytest.mark.parametrize("path", ["/login", "/signup", "/logout", "/password", "/sessions/end"])
@pytest.mark.parametrize("wrong", ["no token", "another's token", "no cookie", "elsewhere"])
async def test_a_form_that_no_page_of_ours_sent_is_refused(
    world: World, browser: Browser, path: str, wrong: str
) -> None:
    form = await browser.get(f"{world.issuer}/login")
    token = form.text.partition('name="csrf" value="')[2].partition('"')[0]
    fields = {"login": "agent", "password": world.staff_password("agent"), "csrf": token}
    headers: dict[str, str] = {}
    if wrong == "no token":
        del fields["csrf"]
    elif wrong == "another's token":
        async with Browser() as other:
            page = await other.get(f"{world.issuer}/login")
            fields["csrf"] = page.text.partition('name="csrf" value="')[2].partition('"')[0]
    elif wrong == "no cookie":
        browser.cookies.clear()
    else:
        headers = {"origin": world.site}
    answer = await browser.post(f"{world.issuer}{path}", data=fields, headers=headers)
    assert answer.status_code == 403
    assert "comes from elsewhere" in answer.text
    assert "__Host-identity-session" not in browser.cookies


@pytest.mark.parametrize("path", ["/change", "/script", "/logout"])
async def test_a_site_takes_no_form_of_another(world: World, browser: Browser, path: str) -> None:
    csrf = await signed_in(world, browser)
    url = f"{world.site}{path}"
    for fields, headers in (
        ({"what": "x"}, {}),
        ({"csrf": "guess"}, {"x-csrf-token": "guess"}),
        ({"csrf": csrf}, {"x-csrf-token": csrf, "origin": "https://evil.example"}),
        ({"csrf": csrf}, {"x-csrf-token": csrf, "sec-fetch-site": "same-site"}),
    ):
        answer = await browser.post(url, data=fields, headers=headers)
        assert answer.status_code == 403, (fields, headers)
    fine = await browser.post(url, data={"csrf": csrf}, headers={"x-csrf-token": csrf})
    assert fine.status_code in (200, 303)


async def test_a_cookie_that_was_not_given_out_is_nobodys(world: World, browser: Browser) -> None:
    await signed_in(world, browser)
    for name in ("__Host-streaming-web-session", "__Host-identity-session"):
        for forged in ("", "x", browser.cookies[name][:-1], browser.cookies[name] + "A", "%FF"):
            async with Browser() as other:
                other.cookies[name] = forged
                assert (await other.get(world.site)).text == "nobody"
                assert "make an account" in (await other.get(world.issuer)).text


async def test_a_sign_in_of_another_browser_cannot_be_finished_here(world: World) -> None:
    async with Browser() as attacker, Browser() as victim:
        page = await attacker.open(f"{world.site}/login")
        stopped = await attacker.follow(await attacker.sign_up(page), f"{world.site}/callback")
        await victim.get(f"{world.site}/login")
        answer = await victim.get(stopped.headers["location"])
        assert answer.status_code == 400
        assert "begun in another browser" in answer.text
        assert (await victim.get(world.site)).text == "nobody"


async def test_an_answer_of_another_issuer_or_without_a_beginning_is_refused(
    world: World, browser: Browser
) -> None:
    page = await browser.open(f"{world.site}/login")
    stopped = await browser.follow(await browser.sign_up(page), f"{world.site}/callback")
    where = stopped.headers["location"]
    unknown = await browser.get(f"{world.site}/callback?code=x&state=y&iss={world.issuer}")
    mixed = await browser.get(where.partition("&iss=")[0] + "&iss=https://other.example")
    late = await browser.get(where)
    for answer in (unknown, mixed, late):
        assert answer.status_code == 400
        assert "was not begun here" in answer.text


async def test_the_way_back_never_leads_to_another_site(world: World, browser: Browser) -> None:
    for number, back in enumerate(
        ("//evil.example", "https://evil.example/", "/\\evil.example", "\\/evil.example", "x")
    ):
        page = await browser.get(f"{world.site}/login", params={"next": back})
        answer = await browser.follow(page, f"{world.site}/callback")
        if number == 0:
            answer = await browser.follow(await browser.sign_up(answer), f"{world.site}/callback")
        done = await browser.get(answer.headers["location"])
        assert done.headers["location"] == "/", back


async def test_scripts_are_told_in_json_that_nobody_is_signed_in(
    world: World, browser: Browser
) -> None:
    answer = await browser.get(f"{world.site}/mine", headers={"accept": "text/event-stream"})
    assert answer.status_code == 401
    assert answer.json()["error"]["details"][0]["reason"] == "SIGN_IN_NEEDED"


async def test_every_page_has_strict_headers(world: World, browser: Browser) -> None:
    for url in (
        world.issuer,
        f"{world.issuer}/login",
        f"{world.issuer}/nothing-here",
        f"{world.issuer}/static/base/base.css",
        world.site,
        f"{world.site}/nothing-here",
    ):
        answer = await browser.get(url)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "server" not in answer.headers
        if "text/html" in answer.headers["content-type"]:
            assert answer.headers["cache-control"] == "no-store"
            assert "<script" not in answer.text
            assert "style=" not in answer.text


async def test_other_names_for_the_same_machine_lead_to_the_one_that_counts(
    world: World, browser: Browser
) -> None:
    port = world.issuer.rpartition(":")[2]
    answer = await browser.get(f"http://127.0.0.1:{port}/login?a=b")
    assert answer.headers["location"] == f"{world.issuer}/login?a=b"
    evil = {"host": f"evil.example:{port}"}
    assert (
        (await browser.get(world.issuer, headers=evil)).headers["location"].startswith(world.issuer)
    )
    answer = await browser.post(f"{world.issuer}/login", data={}, headers=evil)
    assert answer.status_code == 421


async def test_a_target_that_is_no_path_leads_nowhere(world: World) -> None:
    host, _, port = world.issuer.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET @evil.example/x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 421 ")
    assert b"evil" not in answer


async def test_what_happens_while_the_sign_in_server_is_away_is_told(tmp_path: Path) -> None:
    origin = "https://site.example"
    issuer = Issuer(
        "http://localhost:9",
        ClientKey.of(tmp_path / "key", "site"),
        redirect_uri=f"{origin}/callback",
        resource="https://site.example",
    )
    login = Login(issuer, origin=origin, scopes=[])
    app = Site("Site", origin=origin).app(login.routes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=origin) as browser:
        answer = await browser.get("/login")
    await issuer.close()
    assert answer.status_code == 503
    assert "does not work at the moment" in answer.text
    assert answer.headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize(
    ("error", "status", "words", "later"),
    [
        (HTTPException(503, "Later.", {"retry-after": "5"}), 503, "Later.", "5"),
        (HTTPException(403), 403, "Forbidden", None),
        (StatusError(Code.NOT_FOUND, "No such title."), 404, "No such title.", None),
        (StatusError(Code.PERMISSION_DENIED, "Not you."), 403, "Not you.", None),
        (StatusError(Code.INTERNAL, "secret inside"), 500, "on our side", None),
        (CallError(Code.UNAVAILABLE, "host:port is away"), 503, "does not answer", "5"),
        (CallError(Code.UNKNOWN, "secret inside"), 500, "on our side", None),
        (IssuerError("unreachable", "inside", retry=True), 503, "does not work", "5"),
        (ValueError("secret inside"), 500, "on our side", None),
    ],
    ids=str,
)
async def test_what_a_route_lets_out_becomes_a_page_and_nothing_of_the_inside_is_told(
    error: Exception, status: int, words: str, later: str | None
) -> None:
    async def fails(request: Request) -> Response:
        raise error

    origin = "https://site.example"
    app = Site("Site", origin=origin).app([Route("/", fails)])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=origin) as http:
        for accept in ("text/html", "application/json"):
            answer = await http.get("/", headers={"accept": accept})
            assert answer.status_code == status
            assert words in answer.text
            assert "inside" not in answer.text
            assert answer.headers.get("retry-after") == later
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-frame-options"] == "DENY"
        page = (await http.get("/?q=a", headers={"accept": "text/html"})).text
        assert ('href="">Try again' in page) is (status == 503), "the same page, when it may help"


async def test_a_database_that_is_away_is_told_to_people_and_to_programs(world: World) -> None:
    database = Database("postgresql+asyncpg://localhost:9/nothing")
    site = Site("Identity", origin=world.issuer)
    identity = world.identity
    app = site.app(Endpoints(site, database, identity.protocol, identity.keys).routes)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=world.issuer) as http:
        async with world.client() as client:
            page = await http.get(client.authorize_url(), headers={"accept": "text/html"})
        answer = await http.post("/token", data={"grant_type": "refresh_token"})
    await database.close()
    assert (page.status_code, answer.status_code) == (503, 503)
    assert "does not answer at the moment" in page.text
    assert page.headers["retry-after"] != "0"
    assert answer.json() == {"error": "temporarily_unavailable"}


async def test_too_long_a_form_is_refused(world: World, browser: Browser) -> None:
    answer = await browser.post(f"{world.issuer}/login", data={"login": "x" * 70_000})
    assert answer.status_code == 413


async def test_a_form_shows_nothing_of_what_was_typed_into_it_before(
    world: World, browser: Browser
) -> None:
    form = await browser.get(f"{world.issuer}/login")
    login = new_login()
    answer = await browser.sign_in(form, login, PASSWORD)
    assert login not in answer.text
    assert PASSWORD not in answer.text


async def test_cookies_and_sessions_are_bounded() -> None:
    with pytest.raises(ValueError, match="no name of a cookie"):
        HostCookie("a b")
    now = 0.0
    kept: Kept[str] = Kept(idle=10, whole=25, clock=lambda: now, most=2)
    first = kept.add("first")
    names = [first, kept.add("second")]
    assert kept.get(first) == "first"
    names.append(kept.add("third"))
    assert [kept.get(name) for name in names] == ["first", None, "third"]
    now = 9.0
    assert kept.get(first) == "first"
    now = 18.0
    assert kept.get(first) == "first", "used in time"
    assert kept.get(names[2]) is None, "not used in time"
    now = 26.0
    assert kept.get(first) is None, "over in any case"
    assert len(kept) == 0
