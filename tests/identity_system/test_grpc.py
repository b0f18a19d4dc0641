"""acme.identity.v1 behind the guard: profiles, sessions, and what tokens are worth."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask

from acme.identity.v1 import identity_pb2 as pb
from acme.identity.v1.identity_mesh import (
    IntrospectionServiceClient,
    LastProfile,
    ProfileNameTaken,
    ProfileServiceClient,
    RequestReused,
    SessionServiceClient,
    SessionUnknown,
    TooManyProfiles,
)
from identityworld import Browser, OAuthClient, World, new_login
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code, StatusError
from meshpact.testing.tokens import TokenIssuer

pytestmark = pytest.mark.asyncio(loop_scope="module")
KIDS, ADULTS = pb.MATURITY_LIMIT_KIDS, pb.MATURITY_LIMIT_ADULTS


@pytest_asyncio.fixture(loop_scope="module")
async def profiles(world: World) -> AsyncIterator[ProfileServiceClient]:
    async with world.channel() as channel:
        yield ProfileServiceClient(channel)


@pytest_asyncio.fixture(loop_scope="module")
async def sessions(world: World) -> AsyncIterator[SessionServiceClient]:
    async with world.channel() as channel:
        yield SessionServiceClient(channel)


@pytest_asyncio.fixture(loop_scope="module")
async def introspection(world: World) -> AsyncIterator[IntrospectionServiceClient]:
    async with world.channel("billing") as channel:
        yield IntrospectionServiceClient(channel)


@pytest_asyncio.fixture(loop_scope="module")
async def token(browser: Browser, client: OAuthClient) -> str:
    """The access token of a new viewer."""
    return str((await client.tokens(browser))["access_token"])


def new(name: str, limit: pb.MaturityLimit.ValueType = KIDS) -> pb.CreateProfileRequest:
    profile = pb.Profile(display_name=name, maturity_limit=limit)
    return pb.CreateProfileRequest(request_id=str(uuid.uuid4()), profile=profile)


async def refusal(call: Awaitable[Any]) -> tuple[Code, str, str]:
    """The code, reason and words that a call was refused with."""
    with pytest.raises((CallError, StatusError)) as refused:
        await call
    error = refused.value
    assert isinstance(error, CallError | StatusError)
    return error.code, error.reason, error.message


async def test_a_profile_is_added_shown_changed_and_removed(
    profiles: ProfileServiceClient, token: str
) -> None:
    made = (await profiles.create_profile(new("Zoë"), token=token)).profile
    assert (made.display_name, made.maturity_limit) == ("Zoë", KIDS)
    asked = pb.GetProfileRequest(profile_id=made.profile_id)
    assert (await profiles.get_profile(asked, token=token)).profile == made
    change = pb.UpdateProfileRequest(
        request_id=str(uuid.uuid4()),
        profile=pb.Profile(profile_id=made.profile_id.upper(), maturity_limit=ADULTS),
        update_mask=FieldMask(paths=["maturity_limit"]),
    )
    changed = (await profiles.update_profile(change, token=token)).profile
    assert (changed.display_name, changed.maturity_limit) == ("Zoë", ADULTS)
    assert changed.create_time == made.create_time
    remove = pb.DeleteProfileRequest(request_id=str(uuid.uuid4()), profile_id=made.profile_id)
    await profiles.delete_profile(remove, token=token)
    await profiles.delete_profile(remove, token=token)  # the same request: the same answer
    found = await refusal(profiles.get_profile(asked, token=token))
    assert found == (Code.NOT_FOUND, "PROFILE_UNKNOWN", f"You have no profile {made.profile_id}.")


async def test_profiles_of_several_users_are_looked_at_each_by_its_own_token(
    profiles: ProfileServiceClient, world: World, token: str, client: OAuthClient
) -> None:
    mine = (await profiles.create_profile(new("Mine"), token=token)).profile.profile_id
    async with Browser() as stranger:
        theirs = str((await client.tokens(stranger))["access_token"])
        blind = str((await client.tokens(stranger, scope="sessions.read"))["access_token"])
    yours = (await profiles.create_profile(new("Yours", ADULTS), token=theirs)).profile.profile_id
    forged = f"{token[:-4]}{'AAAA' if token[-4:] != 'AAAA' else 'BBBB'}"
    asked = [
        (mine, token, pb.PROFILE_OUTCOME_FOUND, KIDS),
        (yours, theirs, pb.PROFILE_OUTCOME_FOUND, ADULTS),
        (mine.upper(), token, pb.PROFILE_OUTCOME_FOUND, KIDS),
        (mine, theirs, pb.PROFILE_OUTCOME_UNKNOWN, 0),
        (str(uuid.uuid4()), token, pb.PROFILE_OUTCOME_UNKNOWN, 0),
        (yours, blind, pb.PROFILE_OUTCOME_REFUSED, 0),
        (mine, forged, pb.PROFILE_OUTCOME_REFUSED, 0),
        (mine, "no token", pb.PROFILE_OUTCOME_REFUSED, 0),
    ]
    checks = [pb.ProfileCheck(profile_id=name, access_token=by) for name, by, _, _ in asked]
    async with world.channel("billing") as channel:
        checker = ProfileServiceClient(channel)
        found = (await checker.check_profiles(pb.CheckProfilesRequest(checks=checks))).profiles
        assert [(each.outcome, each.maturity_limit) for each in found] == [
            (outcome, limit) for _, _, outcome, limit in asked
        ]
        too_many = pb.CheckProfilesRequest(checks=[checks[0]] * 101)
        assert (await refusal(checker.check_profiles(too_many)))[:2] == (
            Code.INVALID_ARGUMENT,
            "INVALID_REQUEST",
        )


async def test_only_who_serves_many_users_looks_at_profiles_together(
    profiles: ProfileServiceClient, token: str
) -> None:
    check = pb.ProfileCheck(profile_id=str(uuid.uuid4()), access_token=token)
    found = await refusal(profiles.check_profiles(pb.CheckProfilesRequest(checks=[check])))
    assert found[:2] == (Code.PERMISSION_DENIED, "ROLE_MISSING")


async def test_another_accounts_profile_is_like_none(
    profiles: ProfileServiceClient, token: str, client: OAuthClient
) -> None:
    made = (await profiles.create_profile(new("Mine"), token=token)).profile
    async with Browser() as stranger:
        theirs = str((await client.tokens(stranger))["access_token"])
    nobodys = str(uuid.uuid4())
    for name in (made.profile_id, nobodys):
        calls: list[Awaitable[Any]] = [
            profiles.get_profile(pb.GetProfileRequest(profile_id=name), token=theirs),
            profiles.update_profile(
                pb.UpdateProfileRequest(
                    request_id=str(uuid.uuid4()),
                    profile=pb.Profile(profile_id=name, display_name="Taken over"),
                ),
                token=theirs,
            ),
            profiles.delete_profile(
                pb.DeleteProfileRequest(request_id=str(uuid.uuid4()), profile_id=name),
                token=theirs,
            ),
        ]
        for call in calls:
            expected = (Code.NOT_FOUND, "PROFILE_UNKNOWN", f"You have no profile {name}.")
            assert await refusal(call) == expected
    kept = await profiles.get_profile(pb.GetProfileRequest(profile_id=made.profile_id), token=token)
    assert kept.profile == made


async def test_profiles_are_listed_in_pages_the_oldest_first(
    profiles: ProfileServiceClient, token: str
) -> None:
    for name in ("b", "a", "c"):
        await profiles.create_profile(new(name), token=token)
    names: list[str] = []
    asked = pb.ListProfilesRequest(page_size=3)
    while True:
        page = await profiles.list_profiles(asked, token=token)
        names += [each.display_name for each in page.profiles]
        if not page.next_page_token:
            break
        asked.page_token = page.next_page_token
    assert names == ["Main", "b", "a", "c"]


async def test_a_page_token_of_another_account_is_refused(
    profiles: ProfileServiceClient, token: str, client: OAuthClient
) -> None:
    await profiles.create_profile(new("second"), token=token)
    page = await profiles.list_profiles(pb.ListProfilesRequest(page_size=1), token=token)
    async with Browser() as stranger:
        theirs = str((await client.tokens(stranger))["access_token"])
    asked = pb.ListProfilesRequest(page_size=1, page_token=page.next_page_token)
    code, reason, _ = await refusal(profiles.list_profiles(asked, token=theirs))
    assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")


async def test_names_are_unique_within_an_account_whatever_their_case(
    profiles: ProfileServiceClient, token: str
) -> None:
    await profiles.create_profile(new("Straße"), token=token)
    found = await refusal(profiles.create_profile(new("STRASSE"), token=token))
    assert found == (
        Code.ALREADY_EXISTS,
        "PROFILE_NAME_TAKEN",
        "Another profile of yours has this name; choose another.",
    )
    other = (await profiles.create_profile(new("Other"), token=token)).profile
    change = pb.UpdateProfileRequest(
        request_id=str(uuid.uuid4()),
        profile=pb.Profile(profile_id=other.profile_id, display_name="strasse"),
    )
    with pytest.raises(ProfileNameTaken):
        await profiles.update_profile(change, token=token)
    change.profile.display_name = "OTHER"
    assert (await profiles.update_profile(change, token=token)).profile.display_name == "OTHER"


async def test_a_request_that_comes_again_has_one_effect(
    profiles: ProfileServiceClient, token: str
) -> None:
    request = new("Once")
    first = await profiles.create_profile(request, token=token)
    assert await profiles.create_profile(request, token=token) == first
    request.profile.display_name = "Twice"
    with pytest.raises(RequestReused) as refused:
        await profiles.create_profile(request, token=token)
    assert refused.value.request_id == request.request_id


async def test_an_account_has_between_one_and_twenty_profiles(
    profiles: ProfileServiceClient, token: str
) -> None:
    [only] = (await profiles.list_profiles(pb.ListProfilesRequest(), token=token)).profiles
    with pytest.raises(LastProfile):
        await profiles.delete_profile(
            pb.DeleteProfileRequest(request_id=str(uuid.uuid4()), profile_id=only.profile_id),
            token=token,
        )
    for number in range(19):
        await profiles.create_profile(new(f"number {number}"), token=token)
    with pytest.raises(TooManyProfiles) as refused:
        await profiles.create_profile(new("one too many"), token=token)
    assert refused.value.limit == "20"


@pytest.mark.parametrize(
    ("request_id", "name", "limit", "field"),
    [
        ("", "Fine", 1, "request_id"),
        ("1", "Fine", 1, "request_id"),
        (None, None, 0, "profile"),
        (None, "", 1, "display_name"),
        (None, " x", 1, "display_name"),
        (None, "x" * 41, 1, "display_name"),
        (None, "Fine", 0, "maturity_limit"),
        (None, "Fine", 9, "maturity_limit"),
    ],
)
async def test_an_invalid_field_is_named(
    profiles: ProfileServiceClient,
    token: str,
    request_id: str | None,
    name: str | None,
    limit: int,
    field: str,
) -> None:
    request = pb.CreateProfileRequest(
        request_id=str(uuid.uuid4()) if request_id is None else request_id
    )
    if name is not None:
        request.profile.display_name = name
        request.profile.maturity_limit = pb.MaturityLimit.ValueType(limit)
    code, reason, message = await refusal(profiles.create_profile(request, token=token))
    assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert field in message


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["create_time"], "'create_time' is no field that can be changed"),
        (["display_name"], "display_name"),
        (["*"], "display_name"),
    ],
)
async def test_a_mask_names_fields_that_can_be_changed_and_are_given(
    profiles: ProfileServiceClient, token: str, paths: list[str], words: str
) -> None:
    made = (await profiles.create_profile(new("Masked"), token=token)).profile
    request = pb.UpdateProfileRequest(
        request_id=str(uuid.uuid4()),
        profile=pb.Profile(profile_id=made.profile_id, maturity_limit=ADULTS),
        update_mask=FieldMask(paths=paths),
    )
    code, reason, message = await refusal(profiles.update_profile(request, token=token))
    assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert words in message


async def test_sessions_are_listed_and_ended_by_their_own_account(
    sessions: SessionServiceClient,
    browser: Browser,
    client: OAuthClient,
    introspection: IntrospectionServiceClient,
) -> None:
    tokens = await client.tokens(browser)
    token = str(tokens["access_token"])
    [found] = (await sessions.list_sessions(pb.ListSessionsRequest(), token=token)).sessions
    assert found.current
    assert found.user_agent == "test browser"
    assert found.source_address == browser.address
    assert list(found.client_ids) == ["streaming-web"]
    assert found.expire_time.seconds - found.create_time.seconds == 12 * 3600
    end = pb.RevokeSessionRequest(request_id=str(uuid.uuid4()), session_id=found.session_id)
    async with Browser() as stranger:
        theirs = str((await client.tokens(stranger))["access_token"])
    with pytest.raises(SessionUnknown):
        await sessions.revoke_session(end, token=theirs)
    asked = pb.IntrospectTokenRequest(token=token)
    assert (await introspection.introspect_token(asked)).active
    await sessions.revoke_session(end, token=token)
    await sessions.revoke_session(end, token=token)
    end.request_id = str(uuid.uuid4())
    code, reason, message = await refusal(sessions.revoke_session(end, token=token))
    assert (code, reason) == (Code.NOT_FOUND, "SESSION_UNKNOWN")
    assert message == f"You have no session {found.session_id}."
    assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert await introspection.introspect_token(asked) == pb.IntrospectTokenResponse()


async def test_sessions_have_pages(
    sessions: SessionServiceClient, browser: Browser, client: OAuthClient
) -> None:
    login = new_login()
    page = await browser.open(client.authorize_url())
    await browser.sign_up(page, login)
    token = str((await client.tokens(browser))["access_token"])
    for _ in range(2):
        async with Browser() as other:
            await other.sign_in(await other.open(f"{client.world.issuer}/login"), login)
    seen: list[str] = []
    asked = pb.ListSessionsRequest(page_size=1)
    for _ in range(3):
        answer = await sessions.list_sessions(asked, token=token)
        seen += [each.session_id for each in answer.sessions]
        asked.page_token = answer.next_page_token
    assert len(set(seen)) == 3
    assert asked.page_token == ""


async def test_a_workload_learns_what_a_token_is_worth(
    introspection: IntrospectionServiceClient, token: str, world: World
) -> None:
    found = await introspection.introspect_token(pb.IntrospectTokenRequest(token=token))
    assert found.active
    assert (found.client_id, list(found.groups)) == ("streaming-web", ["viewer"])
    assert list(found.audiences) == ["streaming.acme.example"]
    assert "profiles.read" in found.scopes
    for wrong in ("nonsense", token[:-2] + "AA", TokenIssuer(world.issuer).mint("x", audience=[])):
        asked = pb.IntrospectTokenRequest(token=wrong)
        assert await introspection.introspect_token(asked) == pb.IntrospectTokenResponse()


async def test_a_workload_without_the_role_gets_nothing(
    world: World, token: str, introspection: IntrospectionServiceClient
) -> None:
    async with world.channel("billing") as channel:
        code, reason, _ = await refusal(
            ProfileServiceClient(channel).list_profiles(pb.ListProfilesRequest(), token=token)
        )
        assert (code, reason) == (Code.PERMISSION_DENIED, "ROLE_MISSING")
    async with world.channel() as channel:
        code, reason, _ = await refusal(
            IntrospectionServiceClient(channel).introspect_token(
                pb.IntrospectTokenRequest(token=token)
            )
        )
        assert (code, reason) == (Code.PERMISSION_DENIED, "ROLE_MISSING")


async def test_changes_are_on_record_and_nobody_is_named_there(
    world: World, profiles: ProfileServiceClient, token: str
) -> None:
    await profiles.create_profile(new("On record"), token=token)
    await asyncio.wrap_future(world.audit.flush())
    text = (world.state.audit / "identity.jsonl").read_text()
    assert '"method":"/acme.identity.v1.ProfileService/CreateProfile"' in text.replace(" ", "")
    assert "On record" not in text
    assert token not in text
