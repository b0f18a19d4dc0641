"""Others' programs against the authorization server: authlib's client and checks, PyJWT."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any, cast

import jwt as pyjwt
import pytest
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc.jwk import ECKey

from identityworld import AUDIENCE, Browser, World, parameters

pytestmark = pytest.mark.asyncio(loop_scope="module")


def authlib_client(world: World, **further: str) -> Any:
    """authlib's OAuth client as the streaming site, with the site's own key."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for another version of httpx
        module = importlib.import_module("authlib.integrations.httpx_client")
    folder = world.state.root / "oauth" / "clients" / "streaming-web"
    key = ECKey.import_key((Path(folder) / "key.pem").read_text())
    made = module.AsyncOAuth2Client(
        "streaming-web",
        key,
        token_endpoint_auth_method="private_key_jwt",
        revocation_endpoint_auth_method="private_key_jwt",
        redirect_uri=f"{world.site}/callback",
        code_challenge_method="S256",
        scope="openid streaming.read",
        **further,
    )
    made.register_client_auth_method(PrivateKeyJWT(world.issuer, alg="ES256"))
    return made


async def test_authlibs_client_goes_all_the_way(world: World, browser: Browser) -> None:
    verifier = "v" * 64
    async with authlib_client(world) as client:
        url, state = client.create_authorization_url(
            f"{world.issuer}/authorize", code_verifier=verifier, nonce="n"
        )
        page = await browser.open(url)
        answer = await browser.follow(await browser.sign_up(page), f"{world.site}/callback")
        where = answer.headers["location"]
        assert parameters(answer)["state"] == state
        token = await client.fetch_token(
            f"{world.issuer}/token", authorization_response=where, code_verifier=verifier
        )
        assert token["scope"] == "openid streaming.read"
        renewed = await client.refresh_token(f"{world.issuer}/token")
        assert renewed["refresh_token"] != token["refresh_token"]
        gone = await client.revoke_token(f"{world.issuer}/revoke", token=renewed["refresh_token"])
        assert gone.status_code == 200


async def test_pyjwt_verifies_the_access_token_by_the_published_keys(
    world: World, browser: Browser
) -> None:
    async with world.client() as client:
        token = (await client.tokens(browser))["access_token"]
        keys = (await client.http.get(f"{world.issuer}/jwks.json")).json()["keys"]
    by_id = {key["kid"]: pyjwt.PyJWK(key) for key in keys}
    key = by_id[pyjwt.get_unverified_header(token)["kid"]]
    claims = pyjwt.decode(
        token,
        key,
        algorithms=["ES256"],
        audience=AUDIENCE,
        issuer=world.issuer,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
    assert claims["client_id"] == "streaming-web"


async def test_the_metadata_are_those_of_rfc_8414(world: World, browser: Browser) -> None:
    for name in ("oauth-authorization-server", "openid-configuration"):
        answer = await browser.get(f"{world.issuer}/.well-known/{name}")
        found = answer.json()
        cast(Any, AuthorizationServerMetadata)(found).validate()
        assert found["issuer"] == world.issuer
        assert found["response_types_supported"] == ["code"]
        assert found["grant_types_supported"] == ["authorization_code", "refresh_token"]
        assert found["code_challenge_methods_supported"] == ["S256"]
        assert found["authorization_response_iss_parameter_supported"] is True
        for key in found:
            if key.endswith("_endpoint"):
                path = found[key].removeprefix(world.issuer)
                assert (await browser.get(f"{world.issuer}{path}")).status_code in (
                    200,
                    303,
                    400,
                    405,
                )
