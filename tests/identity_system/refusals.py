"""Who must be refused by the authorization server and behind it, and how: a table.

Tests run it, the claim `streaming-auth` as well. What a case comes to is a few words: the status
and the OAuth error of an answer, the code and reason of a call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import httpx

from acme.identity.v1 import identity_pb2 as pb
from acme.identity.v1.identity_mesh import ProfileServiceClient
from identityworld import PASSWORD, Browser, OAuthClient, World, new_login, parameters
from meshpact.clients import CallError
from meshpact.interceptors.errors import StatusError
from meshpact.testing.tokens import TokenIssuer

FINE: Final = "200"
AUDIENCE: Final = "streaming.acme.example"

WRONG_REQUESTS: Final[tuple[tuple[dict[str, str | None], str], ...]] = (
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"nonce": "n" * 201}, "invalid_request"),
    ({"nonce": "\0"}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "code token"}, "unsupported_response_type"),
    ({"response_type": "id_token"}, "unsupported_response_type"),
    ({"response_type": None}, "unsupported_response_type"),
    ({"scope": "openid sales.read"}, "invalid_scope"),
    ({"scope": "openid unheard-of"}, "invalid_scope"),
    ({"resource": "https://marketing.acme.example"}, "invalid_target"),
)
"""Changes to an authorization request, each with the error that goes back to the client."""

NO_REDIRECT: Final[tuple[dict[str, str | None], ...]] = (
    {"client_id": "nobody"},
    {"client_id": None},
    {"redirect_uri": None},
    {"redirect_uri": "https://evil.example/callback"},
    {"redirect_uri": "{uri}/"},
    {"redirect_uri": "{uri}?x=1"},
    {"redirect_uri": "{uri}#x"},
    {"redirect_uri": "{uri}/../callback"},
    {"redirect_uri": '{uri}"ü'},
)
"""Changes after which the browser must not be sent anywhere; {uri} is the right redirect URI."""


class Scene(NamedTuple):
    """Who plays in a case: a new browser, and the streaming site's client."""

    world: World
    browser: Browser
    client: OAuthClient


class Case(NamedTuple):
    """One thing to try, and what must come of it."""

    name: str
    run: Callable[[Scene], Awaitable[str]]
    expected: str


async def outcome(case: Case, world: World) -> str:
    """What a case comes to."""
    async with Browser() as browser, world.client() as client:
        return await case.run(Scene(world, browser, client))


def asking(change: dict[str, str | None]) -> Callable[[Scene], Awaitable[str]]:
    """Asks for a code with a changed request; the error that is sent back, or the status."""

    async def run(scene: Scene) -> str:
        uri = scene.client.redirect_uri
        said = {name: value and value.format(uri=uri) for name, value in change.items()}
        answer = await scene.browser.get(scene.client.authorize_url(**said))
        where = answer.headers.get("location", "")
        if not where.startswith(f"{uri}?"):
            return f"{answer.status_code}{' and a redirect' if where else ''}"
        found = parameters(answer)
        return f"{answer.status_code} {found['error']}{' and a code' if 'code' in found else ''}"

    return run


def redeeming(wait: float = 0.0, **change: str) -> Callable[[Scene], Awaitable[str]]:
    """Redeems a code with changed fields, `wait` seconds later."""

    async def run(scene: Scene) -> str:
        code = await scene.client.code(scene.browser)
        scene.world.clock.advance(wait)
        return _told(await scene.client.redeem(**{"code": code, **change}))

    return run


def calling(token: Callable[[Scene, dict[str, Any]], str], wait: float = 0.0, by: str = "") -> Any:
    """Calls ListProfiles with a token made from a person's tokens, `wait` seconds later."""

    async def run(scene: Scene) -> str:
        tokens = await scene.client.tokens(scene.browser)
        scene.world.clock.advance(wait)
        async with scene.world.channel(by or "streaming-web") as channel:
            profiles = ProfileServiceClient(channel)
            try:
                await profiles.list_profiles(pb.ListProfilesRequest(), token=token(scene, tokens))
            except (CallError, StatusError) as error:
                return f"{error.code.name} {error.reason}"
        return FINE

    return run


async def _code_of_another(scene: Scene) -> str:
    code = await scene.client.code(scene.browser)
    async with scene.world.client("support-web") as other:
        other.verifier = scene.client.verifier
        return _told(await other.redeem(code, redirect_uri=scene.client.redirect_uri))


async def _code_twice(scene: Scene) -> str:
    code = await scene.client.code(scene.browser)
    first = (await scene.client.redeem(code)).json()
    again = _told(await scene.client.redeem(code))
    return f"{again}, {_told(await scene.client.refresh(first['refresh_token']))}"


async def _refresh_twice(scene: Scene) -> str:
    stolen = (await scene.client.tokens(scene.browser))["refresh_token"]
    newest = (await scene.client.refresh(stolen)).json()["refresh_token"]
    again = _told(await scene.client.refresh(stolen))
    return f"{again}, {_told(await scene.client.refresh(newest))}"


async def _refresh_of_another(scene: Scene) -> str:
    token = (await scene.client.tokens(scene.browser))["refresh_token"]
    async with scene.world.client("support-web") as other:
        return _told(await other.refresh(token))


async def _refresh_after_the_session(scene: Scene) -> str:
    token = (await scene.client.tokens(scene.browser))["refresh_token"]
    scene.world.clock.advance(scene.world.settings.lifetimes.session)
    return _told(await scene.client.refresh(token))


async def _revoked(scene: Scene) -> str:
    tokens = await scene.client.tokens(scene.browser)
    await scene.client.post("/revoke", {"token": tokens["access_token"]})
    asked = await scene.client.post("/introspect", {"token": tokens["access_token"]})
    refreshed = _told(await scene.client.refresh(tokens["refresh_token"]))
    return f"{asked.json()['active']}, {refreshed}"


async def _without_proof(scene: Scene) -> str:
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": scene.client.id}
    return _told(await scene.client.post("/token", form, prove=False))


async def _password_grant(scene: Scene) -> str:
    password = scene.world.staff_password("agent")
    form = {"grant_type": "password", "username": "agent", "password": password}
    return _told(await scene.client.post("/token", form))


async def _fine(scene: Scene) -> str:
    tokens = await scene.client.tokens(scene.browser)
    return _told(await scene.client.refresh(tokens["refresh_token"]))


async def _account(scene: Scene) -> str:
    login = new_login()
    async with Browser() as other:
        await other.sign_up(await other.get(f"{scene.world.issuer}/login"), login)
    return login


async def _locked(scene: Scene) -> str:
    login = await _account(scene)
    form = await scene.browser.get(f"{scene.world.issuer}/login")
    for _ in range(5):
        await scene.browser.sign_in(form, login, "quite another password")
    return str((await scene.browser.sign_in(form, login)).status_code)


async def _wrong_password(scene: Scene) -> str:
    form = await scene.browser.get(f"{scene.world.issuer}/login")
    known = await scene.browser.sign_in(form, "agent", "quite another password")
    unknown = await scene.browser.sign_in(form, new_login(), "quite another password")
    same = known.text == unknown.text
    return f"{known.status_code} {unknown.status_code} {'alike' if same else 'told apart'}"


async def _signed_in(scene: Scene) -> str:
    login = await _account(scene)
    form = await scene.browser.get(f"{scene.world.issuer}/login")
    return str((await scene.browser.sign_in(form, login)).status_code)


async def _without_form_token(scene: Scene) -> str:
    await scene.browser.get(f"{scene.world.issuer}/login")
    fields = {"login": "agent", "password": scene.world.staff_password("agent")}
    answer = await scene.browser.post(f"{scene.world.issuer}/login", data=fields)
    return str(answer.status_code)


async def _site_without_form_token(scene: Scene) -> str:
    form = await scene.browser.open(f"{scene.world.site}/mine")
    await scene.browser.follow(await scene.browser.sign_up(form))
    answer = await scene.browser.post(f"{scene.world.site}/change", data={"what": PASSWORD})
    return str(answer.status_code)


async def _forged_cookie(scene: Scene) -> str:
    names = ("__Host-streaming-web-session", "__Host-identity-session")
    scene.browser.cookies |= dict.fromkeys(names, "forged")
    site = await scene.browser.get(scene.world.site)
    identity = await scene.browser.get(scene.world.issuer)
    known = "nobody" not in site.text or "make an account" not in identity.text
    return "signed in" if known else "nobody"


def _told(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.json().get('error', '')}".strip()


def _forged(scene: Scene, _tokens: dict[str, Any]) -> str:
    return TokenIssuer(scene.world.issuer).mint("x", audience=[AUDIENCE])


def _foreign(scene: Scene, _tokens: dict[str, Any]) -> str:
    return TokenIssuer("https://other.example").mint("x", audience=[AUDIENCE])


def _for_support(scene: Scene, tokens: dict[str, Any]) -> str:
    """A token as the issuer itself would sign it for a system that this mesh does not list."""
    protocol = scene.world.identity.protocol
    claims = dict(protocol.tokens.read(tokens["access_token"]) or {})
    return protocol.tokens.sign({**claims, "aud": "support.acme.example"})


BAD: Final = "400 invalid_grant"
GUARD: Final = "UNAUTHENTICATED TOKEN_INVALID"
ASKED: Final = (
    *(Case(f"asked with {change}", asking(change), f"303 {e}") for change, e in WRONG_REQUESTS),
    *(Case(f"asked with {change}", asking(change), "400") for change in NO_REDIRECT),
)
OTHERS: Final = (
    Case("who may", _fine, FINE),
    Case("wrong verifier", redeeming(code_verifier="x" * 43), BAD),
    Case("no verifier", redeeming(code_verifier=""), "400 invalid_request"),
    Case("wrong redirect URI", redeeming(redirect_uri="https://evil.example/"), BAD),
    Case("unknown code", redeeming(code="never given"), BAD),
    Case("expired code", redeeming(wait=60), BAD),
    Case("code for another system", redeeming(resource="https://x.example"), "400 invalid_target"),
    Case("another client's code", _code_of_another, BAD),
    Case("code used twice", _code_twice, f"{BAD}, {BAD}"),
    Case("refresh token used twice", _refresh_twice, f"{BAD}, {BAD}"),
    Case("another client's refresh token", _refresh_of_another, BAD),
    Case("refresh after the session", _refresh_after_the_session, BAD),
    Case("revoked token", _revoked, f"False, {BAD}"),
    Case("client without proof", _without_proof, "401 invalid_client"),
    Case("password grant", _password_grant, "400 unsupported_grant_type"),
    Case("right password", _signed_in, "303"),
    Case("locked account", _locked, "403"),
    Case("wrong password", _wrong_password, "403 403 alike"),
    Case("form without its token", _without_form_token, "403"),
    Case("site's form without its token", _site_without_form_token, "403"),
    Case("forged cookie", _forged_cookie, "nobody"),
    Case("a good access token", calling(lambda _, t: str(t["access_token"])), FINE),
    Case("no token", calling(lambda _, t: ""), "UNAUTHENTICATED TOKEN_MISSING"),
    Case("no JWT", calling(lambda _, t: "nonsense"), GUARD),
    Case("changed signature", calling(lambda _, t: f"{t['access_token'][:-4]}AAAA"), GUARD),
    Case("forged token", calling(_forged), GUARD),
    Case("another issuer's token", calling(_foreign), GUARD),
    Case("ID token", calling(lambda _, t: str(t["id_token"])), GUARD),
    Case("refresh token", calling(lambda _, t: str(t["refresh_token"])), GUARD),
    Case("wrong audience", calling(_for_support), GUARD),
    Case(
        "expired token",
        calling(lambda _, t: str(t["access_token"]), wait=300),
        "UNAUTHENTICATED TOKEN_EXPIRED",
    ),
    Case(
        "another workload",
        calling(lambda _, t: str(t["access_token"]), by="billing"),
        "PERMISSION_DENIED ROLE_MISSING",
    ),
)
CASES: Final = (*ASKED, *OTHERS)
"""All of them; `ASKED` change an authorization request."""
