"""The token endpoint and its neighbours: each token once, for whom it was made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from identityworld import AUDIENCE, Browser, OAuthClient, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_code_becomes_tokens_of_the_kinds_that_the_standards_say(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    answer = await client.redeem(await client.code(browser))
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert (found["token_type"], found["expires_in"]) == ("Bearer", 300)
    keys = KeySet.import_key_set((await client.http.get(f"{world.issuer}/jwks.json")).json())
    token = jwt.decode(found["access_token"], keys, algorithms=["ES256"])
    assert token.header["typ"] == "at+jwt", "RFC 9068"
    claims = token.claims
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= set(claims)
    assert (claims["iss"], claims["aud"]) == (world.issuer, AUDIENCE)
    assert (claims["client_id"], claims["groups"]) == ("streaming-web", ["viewer"])
    assert "openid" not in claims["scope"].split()
    person = jwt.decode(found["id_token"], keys, algorithms=["ES256"])
    assert person.header["typ"] == "JWT"
    assert (person.claims["aud"], person.claims["nonce"]) == ("streaming-web", "a-nonce")
    assert person.claims["sub"] == claims["sub"]


@pytest.mark.parametrize(
    "change",
    [
        {"code_verifier": "x" * 43},
        {"code_verifier": ""},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": ""},
        {"code": "never-given"},
    ],
    ids=str,
)
async def test_a_code_is_worth_nothing_with_wrong_proof_and_is_used_up_by_it(
    browser: Browser, client: OAuthClient, change: dict[str, str]
) -> None:
    code = await client.code(browser)
    answer = await client.redeem(**{"code": code, **change})
    assert (answer.status_code, answer.json()["error"]) in [
        (400, "invalid_grant"),
        (400, "invalid_request"),
    ]
    assert "access_token" not in answer.text
    if "code" not in change:
        assert (await client.redeem(code)).json()["error"] == "invalid_grant", "there is one try"


async def test_a_code_is_for_the_client_that_asked(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    code = await client.code(browser)
    async with world.client("support-web") as other:
        other.verifier = client.verifier
        answer = await other.redeem(code, redirect_uri=client.redirect_uri)
        assert answer.json()["error"] == "invalid_grant"
    assert (await client.redeem(code)).status_code == 200, "who cannot use it cannot use it up"


async def test_a_code_that_is_used_twice_ends_what_came_of_it(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    code = await client.code(browser)
    first = (await client.redeem(code)).json()
    assert (await client.redeem(code)).json()["error"] == "invalid_grant"
    assert (await client.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    asked = await client.post("/introspect", {"token": first["access_token"]})
    assert asked.json() == {"active": False}


async def test_of_two_who_use_a_code_at_once_one_succeeds(
    browser: Browser, client: OAuthClient
) -> None:
    code = await client.code(browser)
    answers = await asyncio.gather(*(client.redeem(code) for _ in range(4)))
    assert sorted(each.status_code for each in answers) == [200, 400, 400, 400]


async def test_each_refresh_gives_a_new_token(browser: Browser, client: OAuthClient) -> None:
    tokens = await client.tokens(browser)
    for _ in range(3):
        answer = await client.refresh(tokens["refresh_token"])
        assert answer.status_code == 200
        assert answer.json()["refresh_token"] != tokens["refresh_token"]
        assert "id_token" not in answer.json()
        tokens = answer.json()


async def test_a_refresh_token_that_is_used_twice_ends_its_family(
    browser: Browser, client: OAuthClient
) -> None:
    stolen = (await client.tokens(browser))["refresh_token"]
    newest = (await client.refresh(stolen)).json()["refresh_token"]
    assert (await client.refresh(stolen)).json()["error"] == "invalid_grant"
    assert (await client.refresh(newest)).json()["error"] == "invalid_grant", "the family is over"


async def test_of_two_who_refresh_at_once_one_succeeds(
    browser: Browser, client: OAuthClient
) -> None:
    token = (await client.tokens(browser))["refresh_token"]
    answers = await asyncio.gather(*(client.refresh(token) for _ in range(4)))
    assert sorted(each.status_code for each in answers) == [200, 400, 400, 400]


async def test_a_refresh_token_is_for_its_client_alone(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    token = (await client.tokens(browser))["refresh_token"]
    async with world.client("support-web") as other:
        assert (await other.refresh(token)).json()["error"] == "invalid_grant"
    assert (await client.refresh(token)).status_code == 200


async def test_a_refresh_never_widens_what_was_granted(
    browser: Browser, client: OAuthClient
) -> None:
    tokens = await client.tokens(browser, scope="openid streaming.read profiles.read")
    wider = await client.refresh(tokens["refresh_token"], scope="streaming.read profiles.write")
    assert wider.json()["error"] == "invalid_scope"


async def test_a_refresh_may_ask_for_less(browser: Browser, client: OAuthClient) -> None:
    tokens = await client.tokens(browser, scope="openid streaming.read profiles.read")
    less = await client.refresh(tokens["refresh_token"], scope="streaming.read")
    assert less.json()["scope"] == "streaming.read"
    again = await client.refresh(less.json()["refresh_token"])
    assert again.json()["scope"] == "openid profiles.read streaming.read", "the grant is unchanged"


@pytest.mark.parametrize("grant", ["code", "refresh"])
async def test_tokens_for_another_system_cannot_be_had(
    browser: Browser, client: OAuthClient, grant: str
) -> None:
    other = "https://marketing.acme.example"
    code = await client.code(browser, resource=f"https://{AUDIENCE}")
    if grant == "code":
        answer = await client.redeem(code, resource=other)
    else:
        tokens = (await client.redeem(code, resource=f"https://{AUDIENCE}")).json()
        answer = await client.refresh(tokens["refresh_token"], resource=other)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")


@pytest.mark.parametrize("grant", ["password", "client_credentials", "implicit", "", "urn:x"])
async def test_there_are_two_grants_only(client: OAuthClient, grant: str) -> None:
    form = {"grant_type": grant, "username": "agent", "password": "x"}
    answer = await client.post("/token", form)
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


async def test_a_client_proves_who_it_is(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    code = await client.code(browser)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": client.verifier,
        "client_id": client.id,
    }
    async with world.client("support-web") as other:
        stranger = {**other.key.assertion(world.issuer)}
        claims = {"iss": client.id, "sub": client.id, "aud": world.issuer, "jti": "x", "exp": 1}
        proofs: list[dict[str, str]] = [
            {},
            {"client_secret": "x"},
            {**stranger, "client_assertion": stranger["client_assertion"][:-4] + "AAAA"},
            client.key.assertion("https://other.example"),
            client.key.assertion(f"{world.issuer}/token"),
            _signed(other, {**claims, "exp": int(time.time()) + 60}),
            _signed(client, claims),
            _signed(client, {**claims, "exp": int(time.time()) + 86400, "jti": "long"}),
            _signed(client, {"iss": client.id, "sub": client.id, "aud": world.issuer}),
        ]
    for proof in proofs:
        answer = await client.post("/token", {**form, **proof}, prove=False)
        assert answer.status_code in (400, 401), proof
        assert answer.json()["error"] == "invalid_client", proof
    assert (await client.redeem(code)).status_code == 200, "none of them has used the code up"


def _signed(client: OAuthClient, claims: Mapping[str, object]) -> dict[str, str]:
    proof = client.key.assertion("x")
    folder = client.world.state.root / "oauth" / "clients" / client.id
    key = ECKey.import_key((folder / "key.pem").read_text())
    token = jwt.encode({"alg": "ES256", "kid": key.thumbprint()}, dict(claims), key)
    return {**proof, "client_assertion": token}


async def test_an_assertion_is_good_once(browser: Browser, client: OAuthClient) -> None:
    proof = client.key.assertion(client.world.issuer)
    for expected in (200, 400):
        answer = await client.post("/introspect", {"token": "x", **proof}, prove=False)
        assert answer.status_code == expected


async def test_a_secret_in_a_file_that_only_its_owner_can_read_is_proof_too(
    world: World, client: OAuthClient
) -> None:
    folder = world.state.root / "oauth" / "clients" / "streaming-web"
    path = folder / "secret"
    path.write_text("a-long-secret\n")
    path.chmod(0o600)
    url = f"{world.issuer}/introspect"
    try:
        for secret, expected in (("a-long-secret", 200), ("another", 401), ("", 401)):
            asked = await client.http.post(url, data={"token": "x"}, auth=("streaming-web", secret))
            assert asked.status_code == expected
        path.chmod(0o644)
        asked = await client.http.post(
            url, data={"token": "x"}, auth=("streaming-web", "a-long-secret")
        )
        assert asked.status_code == 401, "others can read it"
    finally:
        path.unlink()


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_a_token_that_is_given_back_ends_its_grant(
    browser: Browser, client: OAuthClient, kind: str
) -> None:
    tokens = await client.tokens(browser)
    before = await client.post("/introspect", {"token": tokens["access_token"]})
    assert before.json()["active"] is True
    assert before.json()["aud"] == AUDIENCE
    answer = await client.post("/revoke", {"token": tokens[kind], "token_type_hint": "anything"})
    assert answer.status_code == 200
    after = await client.post("/introspect", {"token": tokens["access_token"]})
    assert after.json() == {"active": False}
    assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_giving_back_what_is_no_token_does_no_harm(client: OAuthClient) -> None:
    for token in ("nonsense", "a.b.c", "x" * 9000):
        assert (await client.post("/revoke", {"token": token})).status_code == 200


async def test_nobody_ends_or_sees_anothers_grant(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    tokens = await client.tokens(browser)
    async with world.client("support-web") as other:
        for kind in ("access_token", "refresh_token"):
            answer = await other.post("/revoke", {"token": tokens[kind]})
            assert answer.json()["error"] == "invalid_grant"
        asked = await other.post("/introspect", {"token": tokens["access_token"]})
        assert asked.json() == {"active": False}
    assert (await client.refresh(tokens["refresh_token"])).status_code == 200


async def test_introspection_knows_no_expired_token(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    tokens = await client.tokens(browser)
    world.clock.advance(world.settings.lifetimes.access)
    for kind in ("access_token", "id_token", "refresh_token"):
        asked = await client.post("/introspect", {"token": tokens[kind]})
        assert asked.json() == {"active": False}, kind


async def test_forms_only_and_no_parameter_twice(world: World, client: OAuthClient) -> None:
    url = f"{world.issuer}/token"
    assert (await client.http.get(url)).status_code == 405
    assert (await client.http.post(url, json={"grant_type": "x"})).status_code == 415
    kind = {"content-type": "application/x-www-form-urlencoded"}
    twice = await client.http.post(url, content="code=a&code=b", headers=kind)
    assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")
    long = await client.http.post(url, content=b"a" * 70_000, headers=kind)
    assert long.status_code == 413
    raw = await client.http.post(url, content=b"a=%ff\xff", headers=kind)
    assert raw.status_code == 400
