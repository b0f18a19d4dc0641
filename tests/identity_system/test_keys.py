"""Keys that sign tokens: one takes another's place while services go on verifying."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from joserfc import jws

from acme.identity.v1 import identity_pb2 as pb
from acme.identity.v1.identity_mesh import ProfileServiceClient
from identityworld import Browser, OAuthClient, World
from meshpact.clients import CallError
from reference.identity.signingkeys import KeyFileError, SigningKeys
from reference.web.clientkey import ClientKey, ClientKeyError

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def profiles(world: World) -> AsyncIterator[ProfileServiceClient]:
    async with world.channel() as channel:
        yield ProfileServiceClient(channel)


async def published(world: World, client: OAuthClient) -> list[str]:
    """The IDs of the keys that the world can see."""
    answer = await client.http.get(f"{world.issuer}/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert all(not {"d", "k", "p"} & set(key) for key in answer.json()["keys"])
    return [key["kid"] for key in answer.json()["keys"]]


async def test_tokens_of_the_old_key_and_of_the_new_one_are_good_until_they_end(
    world: World, browser: Browser, client: OAuthClient, profiles: ProfileServiceClient
) -> None:
    new = still = await client.tokens(browser)
    [before] = await published(world, client)
    asked = pb.ListProfilesRequest()
    await profiles.list_profiles(asked, token=new["access_token"])
    # as another process does it, by the same folder
    folder = world.state.root / "identity" / "keys"
    SigningKeys(folder, lifetime=300, clock=world.clock.time).rotate()
    _, after = await published(world, client)
    for _ in range(2):  # before the new key signs, and after
        world.clock.advance(240)
        still, new = new, (await client.refresh(new["refresh_token"])).json()
        for each in (still, new):
            await profiles.list_profiles(asked, token=each["access_token"])
    signer = jws.extract_compact(new["access_token"].encode()).headers()["kid"]
    assert signer == after
    assert await published(world, client) == [before, after], "its last tokens may be good still"
    world.clock.advance(300)
    assert await published(world, client) == [after]
    for each in (still, new):
        with pytest.raises(CallError) as refused:
            await profiles.list_profiles(asked, token=each["access_token"])
        assert refused.value.reason == "TOKEN_EXPIRED"


async def test_a_stolen_key_is_taken_back_at_once_and_its_tokens_with_it(
    world: World, browser: Browser, client: OAuthClient, profiles: ProfileServiceClient
) -> None:
    stolen = await client.tokens(browser)
    asked = pb.ListProfilesRequest()
    await profiles.list_profiles(asked, token=stolen["access_token"])
    kid = str(world.identity.keys.signing().thumbprint())
    assert world.identity.keys.drop(kid)
    assert not world.identity.keys.drop(kid)
    assert kid not in await published(world, client)
    known = await client.post("/introspect", {"token": stolen["access_token"]})
    assert known.json() == {"active": False}
    world.clock.advance(11)
    new = (await client.refresh(stolen["refresh_token"])).json()
    await profiles.list_profiles(asked, token=new["access_token"])
    with pytest.raises(CallError) as refused:
        await profiles.list_profiles(asked, token=stolen["access_token"])
    assert refused.value.reason == "TOKEN_INVALID", "its key has left the set"


async def test_keys_are_in_files_that_only_their_owner_can_read(world: World) -> None:
    for folder in (world.state.root / "identity", world.state.root / "oauth"):
        for path in folder.rglob("*"):
            expected = 0o700 if path.is_dir() else 0o600
            if path.name == "jwks.json":
                expected = 0o644
            assert path.stat().st_mode & 0o777 == expected, path


async def test_a_file_of_keys_that_is_open_damaged_or_without_a_key_is_refused(
    tmp_path: Path,
) -> None:
    SigningKeys(tmp_path, lifetime=300)
    path = tmp_path / "keys.json"
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        SigningKeys(tmp_path, lifetime=300).signing()
    for text in ("", "{", '{"keys": []}', '{"keys": [{"pem": "x", "signs_from": 1}]}'):
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(KeyFileError, match="remove it to start with a new key"):
            SigningKeys(tmp_path, lifetime=300).signing()


async def test_a_key_takes_its_turn_by_age(tmp_path: Path) -> None:
    now = 1000.0
    keys = SigningKeys(tmp_path, lifetime=300, clock=lambda: now)
    now = 5000.0
    assert keys.age() == 4000
    first = keys.signing()
    second = keys.rotate()
    assert keys.age() == -360, "it is published, and does not sign yet"
    now = 5359.0
    assert keys.signing() is first
    now = 5360.0
    assert keys.signing().thumbprint() == second
    assert len(keys.published()) == 2
    now = 5720.0
    assert len(keys.published()) == 1
    keys.rotate()
    kept = json.loads((tmp_path / "keys.json").read_text())["keys"]
    assert len(kept) == 2, "the first one is needed no more and is gone"


async def test_a_key_that_is_taken_back_is_followed_by_the_one_that_waits(tmp_path: Path) -> None:
    keys = SigningKeys(tmp_path, lifetime=300)
    first, second = str(keys.signing().thumbprint()), keys.rotate()
    assert keys.drop(first)
    assert keys.signing().thumbprint() == second
    assert keys.drop(second)
    assert keys.signing().thumbprint() not in (first, second)


async def test_a_clients_key_that_cannot_be_read_is_told_with_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    first = ClientKey.of(folder, "site")
    assert "site" in repr(first)
    assert ClientKey.of(folder, "site").client_id == "site"
    (folder / "key.pem").write_text("nothing")
    with pytest.raises(ClientKeyError, match=r"remove .*site"):
        ClientKey.of(folder, "site")


async def test_a_client_may_get_a_new_key_without_a_restart(
    world: World, browser: Browser, client: OAuthClient
) -> None:
    folder = world.state.root / "oauth" / "clients" / "support-web"
    async with world.client("support-web") as site:
        assert (await site.post("/introspect", {"token": "x"})).status_code == 200
        for path in folder.iterdir():
            path.unlink()
        answer = await site.post("/introspect", {"token": "x"})
        assert answer.json()["error"] == "invalid_client", "no key is known"
        folder.rmdir()
    async with world.client("support-web") as site:
        assert (await site.post("/introspect", {"token": "x"})).status_code == 200
