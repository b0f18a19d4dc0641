"""The authorization server's database goes away under people and programs, and comes back."""

from __future__ import annotations

import pytest

from acme.identity.v1 import identity_pb2 as pb
from acme.identity.v1.identity_mesh import (
    IntrospectionServiceClient,
    ProfileServiceClient,
    SessionServiceClient,
)
from identityworld import PASSWORD, Browser, OAuthClient, World, new_login, parameters
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from outages import INSIDE, WORDS, answered, away, back

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_all_are_told_that_it_is_away_and_nobody_loses_a_session_by_asking_again(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    login, tokens = new_login(), await client.tokens(browser)
    access, refresh = str(tokens["access_token"]), str(tokens["refresh_token"])
    code = parameters(await browser.get(client.authorize_url()))["code"]
    async with world.channel() as channel, world.channel("billing") as asking, Browser() as other:
        profiles, sessions = ProfileServiceClient(channel), SessionServiceClient(channel)
        introspection = IntrospectionServiceClient(asking)
        form = await other.get(f"{world.issuer}/signup")
        fields = {"login": login, "password": PASSWORD, "repeat": PASSWORD}
        signing_in = await other.get(f"{world.issuer}/login")
        await profiles.list_profiles(pb.ListProfilesRequest(), token=access)
        await away(world.url)
        try:
            for answer in (
                await client.refresh(refresh),
                await client.redeem(code),
                await client.post("/introspect", {"token": access}),
                await client.post("/revoke", {"token": refresh}),
            ):
                assert (answer.status_code, answer.json()) == (
                    503,
                    {"error": "temporarily_unavailable"},
                )
                assert answer.headers["retry-after"]
            for page in (
                await other.send(form, fields),
                await other.sign_in(signing_in, login),
                await browser.get(world.issuer),
                await browser.get(client.authorize_url()),
            ):
                assert page.status_code == 503, page.url
                assert "does not answer at the moment" in page.text
                assert not INSIDE.search(page.text)
            for call in (
                profiles.list_profiles(pb.ListProfilesRequest(), token=access),
                sessions.list_sessions(pb.ListSessionsRequest(), token=access),
                introspection.introspect_token(pb.IntrospectTokenRequest(token=access)),
            ):
                with pytest.raises(CallError) as refused:
                    await call
                error = refused.value
                assert (error.code, error.reason, error.message) == (
                    Code.UNAVAILABLE,
                    "STORAGE_UNAVAILABLE",
                    WORDS,
                )
        finally:
            await back(world.url)
        listing = pb.ListProfilesRequest()
        assert (await answered(lambda: profiles.list_profiles(listing, token=access))).profiles
        assert (await client.redeem(code)).status_code == 200, "the code was not used up"
        assert (await client.refresh(refresh)).status_code == 200, "nor was the refresh token"
        assert (await browser.get(world.issuer)).status_code == 200, "who was signed in still is"
        assert (await other.send(form, fields)).status_code == 303
        asked = pb.IntrospectTokenRequest(token=access)
        assert (await introspection.introspect_token(asked)).active
