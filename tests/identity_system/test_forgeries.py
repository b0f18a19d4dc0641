"""Forged tokens against the guard of the gRPC services, against introspection and the endpoints."""

from __future__ import annotations

import asyncio
import time

import pytest
from joserfc.jwk import ECKey

from acme.identity.v1 import identity_pb2 as pb
from acme.identity.v1.identity_mesh import IntrospectionServiceClient, ProfileServiceClient
from databases import sqlite_urls
from identity_system.forgeries import Forgery, encoded, misused, signed, unsigned
from identityworld import Browser, OAuthClient, World
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code, StatusError
from meshpact.testing.tokens import TokenIssuer

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUSED = {"TOKEN_INVALID", "TOKEN_EXPIRED"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One kind of database: nothing here is about it."""
    return sqlite_urls(tmp_path_factory.mktemp("databases"))()


async def made(world: World, browser: Browser, client: OAuthClient) -> list[Forgery]:
    """All of them, from a good token, and one that is good."""
    good = str((await client.tokens(browser))["access_token"])
    key = world.identity.keys.signing()
    return [*unsigned(good, key), *misused(good, key), Forgery("good", good)]


async def refusal(profiles: ProfileServiceClient, token: str) -> tuple[Code, str, str]:
    """The code, reason and words with which a token is refused."""
    with pytest.raises((CallError, StatusError)) as refused:
        await profiles.list_profiles(pb.ListProfilesRequest(), token=token)
    error = refused.value
    assert isinstance(error, CallError | StatusError)
    return error.code, error.reason, error.message


async def test_the_guard_refuses_each_wrong_token_with_its_reason(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    tokens = await client.tokens(browser)
    async with world.client("support-web") as support, Browser() as agents:
        page = await agents.open(support.authorize_url(scope="openid billing.read"))
        signed = await agents.sign_in(page, "agent", world.staff_password("agent"))
        location = (await agents.follow(signed, support.redirect_uri)).headers["location"]
        code = location.partition("code=")[2].partition("&")[0]
        elsewhere = str((await support.redeem(code)).json()["access_token"])
    good = str(tokens["access_token"])
    narrow = (await client.refresh(tokens["refresh_token"], scope="streaming.read")).json()
    forged = TokenIssuer(world.issuer).mint("x", audience=["streaming.acme.example"])
    other = TokenIssuer("https://other.example").mint("x", audience=["streaming.acme.example"])
    async with world.channel() as channel:
        profiles = ProfileServiceClient(channel)
        asked = pb.ListProfilesRequest()
        for token, code_, reason in (
            ("", Code.UNAUTHENTICATED, "TOKEN_MISSING"),
            ("nonsense", Code.UNAUTHENTICATED, "TOKEN_INVALID"),
            (good[:-2] + "AA", Code.UNAUTHENTICATED, "TOKEN_INVALID"),
            (forged, Code.UNAUTHENTICATED, "TOKEN_INVALID"),
            (other, Code.UNAUTHENTICATED, "TOKEN_INVALID"),
            (str(tokens["id_token"]), Code.UNAUTHENTICATED, "TOKEN_INVALID"),
            (str(tokens["refresh_token"]), Code.UNAUTHENTICATED, "TOKEN_INVALID"),
            (elsewhere, Code.UNAUTHENTICATED, "TOKEN_INVALID"),
            (str(narrow["access_token"]), Code.PERMISSION_DENIED, "SCOPE_MISSING"),
        ):
            found = await refusal(profiles, token)
            assert found[:2] == (code_, reason), reason
            assert len(token) < 20 or token not in found[2], "no token is quoted"
        await profiles.list_profiles(asked, token=good)
        world.clock.advance(world.settings.lifetimes.access)
        found = await refusal(profiles, good)
        assert found[:2] == (Code.UNAUTHENTICATED, "TOKEN_EXPIRED")


async def test_no_forged_token_passes_the_guard(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    passed: dict[str, str] = {}
    async with world.channel() as channel:
        profiles = ProfileServiceClient(channel)
        *forged, good = await made(world, browser, client)
        for each in [good, *forged]:
            if not each.token.isascii():
                continue  # no client sends it
            try:
                await profiles.list_profiles(pb.ListProfilesRequest(), token=each.token)
                passed[each.name] = "let in"
            except (CallError, StatusError) as error:
                if error.code is not Code.UNAUTHENTICATED or error.reason not in REFUSED:
                    passed[each.name] = repr(error)
    assert passed.pop("good") == "let in"
    assert passed == {}


async def test_no_forged_token_is_worth_anything_to_introspection_or_ends_a_grant(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    tokens = await client.tokens(browser)
    good = str(tokens["access_token"])
    wrong: dict[str, object] = {}
    async with world.channel("billing") as channel:
        introspection = IntrospectionServiceClient(channel)
        for each in unsigned(good, world.identity.keys.signing()):
            asked = await client.post("/introspect", {"token": each.token})
            back = await client.post("/revoke", {"token": each.token})
            if (asked.status_code, asked.json(), back.status_code) != (200, {"active": False}, 200):
                wrong[each.name] = (asked.status_code, asked.text, back.status_code)
            if not each.token.isascii():
                continue
            found = await introspection.introspect_token(
                pb.IntrospectTokenRequest(token=each.token)
            )
            if found.active:
                wrong[each.name] = found
        assert wrong == {}
        asked = await client.post("/introspect", {"token": good})
        assert asked.json()["active"] is True


async def test_no_forged_proof_is_a_clients(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    code = await client.code(browser)
    folder = world.state.root / "oauth" / "clients" / client.id
    key = ECKey.import_key((folder / "key.pem").read_text())
    now = int(time.time())
    claims = {"iss": client.id, "sub": client.id, "aud": world.issuer, "iat": now, "exp": now + 60}
    header = {"alg": "ES256", "kid": key.thumbprint()}
    good = signed(key, header, {**claims, "jti": "the-good-one"})
    forged = [
        *unsigned(good, key),
        Forgery("not yet", signed(key, header, {**claims, "jti": "a", "nbf": now + 3600})),
        Forgery("other issuer", signed(key, header, {**claims, "jti": "b", "iss": "support-web"})),
        Forgery("slash", signed(key, header, {**claims, "jti": "c", "aud": f"{world.issuer}/"})),
        Forgery("token url", signed(key, header, {**claims, "aud": f"{world.issuer}/token"})),
        Forgery("text", signed(key, header, {**claims, "jti": "d", "exp": str(now + 60)})),
        Forgery("no end", signed(key, header, {**claims, "jti": "e", "exp": 10**18})),
        Forgery("crit", signed(key, {**header, "crit": ["x"], "x": 1}, {**claims, "jti": "f"})),
        Forgery("list", signed(key, header, {**claims, "jti": "g", "sub": [client.id]})),
        Forgery("deep", f"{encoded(b'[' * 25_000)}.{encoded(b'[' * 20_000)}.x"),
    ]
    wrong: dict[str, object] = {}
    proof = client.key.assertion(world.issuer)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": client.verifier,
    }
    for each in forged:
        asked = {**form, **proof, "client_assertion": each.token}
        answer = await client.post("/token", asked, prove=False)
        told = (answer.status_code, answer.json().get("error"))
        if told not in ((401, "invalid_client"), (400, "invalid_client")):
            wrong[each.name] = told
    assert wrong == {}
    asked = {**form, **proof, "client_assertion": good}
    answers = await asyncio.gather(*(client.post("/token", asked, prove=False) for _ in range(3)))
    assert sorted(each.status_code for each in answers)[0] == 200
    assert sorted(each.status_code for each in answers)[1:] != [200, 200], "a proof is good once"
