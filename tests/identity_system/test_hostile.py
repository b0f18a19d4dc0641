"""Attackers at the authorization endpoint and the pages: PKCE, redirects, hosts, methods."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from urllib.parse import urlsplit

import pytest

from databases import sqlite_urls
from identityworld import Browser, OAuthClient, World, new_login

pytestmark = pytest.mark.asyncio(loop_scope="module")
SESSION = "__Host-identity-session"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One kind of database: nothing here is about it."""
    return sqlite_urls(tmp_path_factory.mktemp("databases"))()


def challenge(verifier: str) -> str:
    """S256 of a verifier (RFC 7636, 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.parametrize(
    "change",
    [
        "http://LOCALHOST:{port}/callback",
        "HTTP://localhost:{port}/callback",
        "https://localhost:{port}/callback",
        "http://127.0.0.1:{port}/callback",
        "http://[::1]:{port}/callback",
        "http://localhost.:{port}/callback",
        "http://localhost/callback",
        "http://localhost:1/callback",
        "http://localhost:0{port}/callback",
        "http://localhost:{port}/Callback",
        "http://localhost:{port}/callback/",
        "http://localhost:{port}//callback",
        "http://localhost:{port}/./callback",
        "http://localhost:{port}/%63allback",
        "http://localhost:{port}/callback%00",
        "http://localhost:{port}/callback;x",
        "http://localhost:{port}/callback?",
        "http://localhost:{port}/callback#",
        "http://user@localhost:{port}/callback",
        "http://localhost:{port}@evil.example/callback",
        "http://localhost:{port}\\@evil.example/callback",
        " http://localhost:{port}/callback",
        "http://localhost:{port}/callback\t",
        "//localhost:{port}/callback",
        "/callback",
        "javascript:alert(1)//callback",
        "http://localhost:{port}/callback http://evil.example/",
    ],
)
async def test_a_redirect_uri_is_the_registered_one_letter_by_letter(
    browser: Browser, client: OAuthClient, change: str
) -> None:
    port = urlsplit(client.redirect_uri).port
    wrong = change.format(port=port)
    for cookies in ({}, dict(browser.cookies)):
        browser.cookies = cookies
        answer = await browser.get(client.authorize_url(redirect_uri=wrong))
        assert (answer.status_code, "location" in answer.headers) == (400, False)
    form = await browser.get(client.authorize_url(redirect_uri=wrong).replace("authorize", "login"))
    assert "form-action 'self';" in form.headers["content-security-policy"]


@pytest.mark.parametrize(
    "verifier", ["short", "x" * 42, "x" * 129, "x" * 43 + "\u00e4", "x" * 43 + "+/", "x " * 30]
)
async def test_a_verifier_has_43_to_128_plain_characters(
    browser: Browser, client: OAuthClient, verifier: str
) -> None:
    code = await client.code(browser, code_challenge=challenge(verifier))
    answer = await client.redeem(code, code_verifier=verifier)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_request", "invalid_grant")
    client.verifier = "y" * 43
    assert (await client.redeem(code)).json()["error"] == "invalid_grant", "there is one try"


async def test_the_challenge_is_no_verifier(browser: Browser, client: OAuthClient) -> None:
    code = await client.code(browser)
    answer = await client.redeem(code, code_verifier=challenge(client.verifier))
    assert answer.json()["error"] == "invalid_grant"
    answer = await client.redeem(
        await client.code(browser),
        code_verifier=challenge(client.verifier),
        code_challenge_method="plain",
    )
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "wrong", ["x" * 42, "x" * 44 + "=", "x" * 129, "x" * 43 + "=", "\u00e4" * 43]
)
async def test_a_challenge_that_is_none_is_refused_before_anybody_signs_in(
    browser: Browser, client: OAuthClient, wrong: str
) -> None:
    answer = await browser.get(client.authorize_url(code_challenge=wrong))
    where = answer.headers.get("location", "")
    assert "error=invalid_request" in where or answer.status_code == 400
    assert "/login" not in where


@pytest.mark.parametrize("path", ["/login", "/signup", "/logout", "/", "/authorize"])
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])
async def test_no_method_but_post_changes_anything(
    world: World, browser: Browser, path: str, method: str
) -> None:
    if SESSION not in browser.cookies:
        await browser.sign_up(await browser.get(f"{world.issuer}/login"), new_login())
    answer = await browser.ask(method, f"{world.issuer}{path}")
    if method == "HEAD":
        assert answer.status_code == (400 if path == "/authorize" else 200)
        assert answer.content == b""
    else:
        assert answer.status_code == 405
    assert "Your account" in (await browser.get(world.issuer)).text, "signed in still"


@pytest.mark.parametrize("name", ["x-http-method-override", "x-method-override", "x-http-method"])
async def test_a_method_cannot_be_overridden(world: World, browser: Browser, name: str) -> None:
    answer = await browser.get(f"{world.issuer}/login?_method=POST", headers={name: "POST"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-host": "evil.example"},
        {"x-forwarded-proto": "https", "x-forwarded-port": "1"},
        {"forwarded": "host=evil.example;proto=https"},
        {"x-original-url": "/logout", "x-rewrite-url": "/logout"},
        {"x-forwarded-for": "192.0.2.1"},
    ],
    ids=str,
)
async def test_what_proxies_say_of_the_host_is_not_believed(
    world: World, browser: Browser, headers: dict[str, str]
) -> None:
    plain = await browser.get(f"{world.issuer}/.well-known/oauth-authorization-server")
    told = await browser.get(
        f"{world.issuer}/.well-known/oauth-authorization-server", headers=headers
    )
    assert plain.json() == told.json()
    where = await browser.get(f"{world.issuer}/login?a=b", headers=headers)
    assert "evil.example" not in where.text + str(where.headers)
    assert where.status_code == 200


@pytest.mark.parametrize(
    "head",
    [
        "GET /login HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n",
        "GET /login HTTP/1.1\r\nHost: evil.example\r\nHost: {host}\r\n",
        "GET /login HTTP/1.1\r\nHost: {host}@evil.example\r\n",
        "GET /login HTTP/1.1\r\nHost: evil.example#{host}\r\n",
        "GET http://evil.example/login HTTP/1.1\r\nHost: evil.example\r\n",
        "GET //evil.example/login HTTP/1.1\r\nHost: x\r\n",
        "GET /\\evil.example HTTP/1.1\r\nHost: x\r\n",
        "GET /login HTTP/1.1\r\n",
        "GET /login HTTP/1.0\r\n",
        "GET /login?a=%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: x\r\n",
        "POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n"
        "Transfer-Encoding: chunked\r\n",
    ],
    ids=str,
)
async def test_a_host_that_is_not_ours_leads_home_or_nowhere(world: World, head: str) -> None:
    place = urlsplit(world.issuer)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    text = head.format(host=place.netloc)
    writer.write(f"{text}Connection: close\r\n\r\n0\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, _ = answer.partition("\r\n\r\n")
    lines = head.lower().split("\r\n")
    assert not any(line.startswith("set-cookie: a=") for line in lines)
    for line in lines:
        if line.startswith("location:"):
            where = line.removeprefix("location:").strip()
            assert where.startswith((f"{world.issuer}/", "/login")), where
            assert not where.startswith("//")
    assert lines[0].split()[1] in ("200", "307", "400", "403", "415", "421"), lines[0]


@pytest.mark.parametrize(
    "query",
    [
        "next=https://evil.example/",
        "redirect_uri=https://evil.example/&client_id=streaming-web",
        "client_id=streaming-web&redirect_uri={uri}&redirect_uri=https://evil.example/",
        "client_id=streaming-web&redirect_uri={uri}%0d%0aLocation:%20https://evil.example/",
        "//evil.example",
        "client_id=nobody&redirect_uri={uri}",
    ],
)
async def test_a_sign_in_leads_to_no_address_that_it_was_given(
    world: World, browser: Browser, client: OAuthClient, query: str
) -> None:
    url = f"{world.issuer}/login?{query.format(uri=client.redirect_uri)}"
    answer = await browser.sign_up(await browser.get(url))
    assert answer.status_code == 303
    home = await browser.follow(answer)
    assert str(home.url).startswith(f"{world.issuer}/")
    assert home.status_code in (200, 400)


async def test_a_session_of_the_attackers_choice_is_not_taken_over(
    world: World, browser: Browser
) -> None:
    async with Browser() as attacker:
        await attacker.sign_up(await attacker.get(f"{world.issuer}/login"))
        planted = {SESSION: attacker.cookies[SESSION], "identity-session": "x"}
        browser.cookies |= planted
        login = new_login()
        await browser.sign_up(await browser.get(f"{world.issuer}/login"), login)
        assert browser.cookies[SESSION] != planted[SESSION]
        assert login in (await browser.get(world.issuer)).text
        assert login not in (await attacker.get(world.issuer)).text
