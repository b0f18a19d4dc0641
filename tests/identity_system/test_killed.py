"""acme.identity is killed in the middle of its work: nothing is left half done, people go on."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from identity_system.running import Running, running
from identityworld import PASSWORD, Browser, OAuthClient, new_login, parameters
from meshpact.servers.wellknown import health_pb2
from reference.identity.signingkeys import SigningKeys
from reference.identity.upkeep import HEALTH

SESSION = "__Host-identity-session"
NEW = "another battery of horses"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("killed")) as made:
        yield made


class Killing:
    """Kills the process once a number of answers have come."""

    def __init__(self, place: Running, after: int) -> None:
        self._place = place
        self._left = after

    def answered(self) -> None:
        """One more answer."""
        self._left -= 1
        if self._left == 0:
            self._place.kill()


async def sign_up(place: Running, login: str, killing: Killing) -> bool:
    """Whether a sign-up was answered well before the end."""
    async with Browser() as browser:
        try:
            form = await browser.get(f"{place.issuer}/signup")
            fields = {"login": login, "password": PASSWORD, "repeat": PASSWORD}
            answer = await browser.send(form, fields)
        except httpx.TransportError:
            return False
        killing.answered()
        return answer.status_code == 303


async def change(browser: Browser, page: httpx.Response, old: str, new: str) -> bool | None:
    """Whether a password was changed; None when nobody said."""
    try:
        answer = await browser.send(page, {"old": old, "new": new, "repeat": new})
    except httpx.TransportError:
        return None
    return "is changed. You" in answer.text


async def refresh(client: OAuthClient, token: str) -> tuple[str, bool]:
    """Refreshes until the end: the last token that came, and whether one was on its way then."""
    while True:
        try:
            answer = await client.refresh(token)
        except httpx.TransportError:
            return token, True
        if answer.status_code != 200:
            return token, False
        token = answer.json()["refresh_token"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_kill_leaves_nothing_half_done_and_whoever_was_cut_off_goes_on(
    place: Running,
) -> None:
    changing, after = new_login(), 3
    async with (
        Browser() as browser,
        Browser() as changer,
        Browser() as other,
        OAuthClient(place, "streaming-web") as client,
    ):
        tokens = await client.tokens(browser)
        await changer.sign_up(await changer.get(f"{place.issuer}/login"), changing)
        page = await changer.get(place.issuer)
        killing = Killing(place, after)
        names = [new_login() for _ in range(8)]
        changing_it = asyncio.create_task(change(changer, page, PASSWORD, NEW))
        refreshing = asyncio.create_task(refresh(client, str(tokens["refresh_token"])))
        made = await asyncio.gather(*(sign_up(place, name, killing) for name in names))
        changed, (token, cut) = await changing_it, await refreshing
        assert made.count(True) >= after
        place.start()

        for name, answered in zip(names, made, strict=True):
            form = await other.get(f"{place.issuer}/login")
            there = (await other.sign_in(form, name)).status_code == 303
            assert there or not answered, "who was told to have an account has one"
            if not there:
                again = await other.sign_up(form, name)
                assert again.status_code == 303, "who was not may make it now"

        known: dict[str, bool] = {}
        for password in (PASSWORD, NEW):
            form = await other.get(f"{place.issuer}/login")
            known[password] = (await other.sign_in(form, changing, password)).status_code == 303
        assert sorted(known.values()) == [False, True], "one password is the right one"
        assert known[NEW] or not changed

        answer = await client.refresh(token)
        assert answer.status_code == 200 or cut, "what was given out is good"
        where = await browser.get(client.authorize_url())
        again = await client.redeem(parameters(where)["code"])
        assert again.status_code == 200, "nobody has to sign in again"

    with sqlite3.connect(place.database) as database:
        [(accounts,)] = database.execute("SELECT count(*) FROM accounts WHERE member_of = 'viewer'")
        [(profiles,)] = database.execute("SELECT count(DISTINCT account_id) FROM profiles")
        [(lost,)] = database.execute(
            "SELECT count(*) FROM sessions WHERE account_id NOT IN (SELECT id FROM accounts)"
        )
        assert (profiles, lost) == (accounts, 0)
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


ROTATING = """
import sys
from pathlib import Path
from reference.identity.signingkeys import SigningKeys
keys = SigningKeys(Path(sys.argv[1]), lifetime=300)
print("ready", flush=True)
while True:
    keys.drop(keys.rotate())
"""


def test_a_kill_while_keys_are_rotated_loses_none_and_leaves_no_half_file(tmp_path: Path) -> None:
    first, file = SigningKeys(tmp_path, lifetime=300), tmp_path / "keys.json"
    second = first.rotate()
    signs = first.signing().thumbprint()
    for number in range(4):
        argv = [sys.executable, "-c", ROTATING, str(tmp_path)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            for _ in range(1 + number):
                before = file.stat().st_ino
                while file.stat().st_ino == before:
                    pass
            process.kill()
        known = SigningKeys(tmp_path, lifetime=300)
        assert known.signing().thumbprint() == signs
        assert {signs, second} <= {each["kid"] for each in known.published()}
        known.drop(known.rotate())
        assert sorted(each.name for each in tmp_path.iterdir()) == ["keys.json", "lock"]
        assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o600}
        assert len(known.published()) <= 3 + number


def command(place: Running, *argv: str) -> subprocess.CompletedProcess[str]:
    """One command of `python -m reference.identity`."""
    return subprocess.run(
        [sys.executable, "-m", "reference.identity", *argv, "--state", str(place.state.root)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def health(place: Running) -> int:
    """What the process tells of its keys."""
    async with grpc.aio.insecure_channel(place.facts["health"]) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        return int((await check(health_pb2.HealthCheckRequest(service=HEALTH))).status)


@pytest.mark.asyncio(loop_scope="module")
async def test_keys_that_cannot_be_changed_stay_and_the_command_says_why(place: Running) -> None:
    file, lock = place.keys / "keys.json", place.keys / "lock"
    before = file.read_bytes()
    lock.unlink()
    lock.mkdir()
    try:
        done = command(place, "rotate")
    finally:
        lock.rmdir()
    assert done.returncode == 2
    assert re.search(r"cannot be changed \(Is a directory\).*keys are as they were", done.stderr)
    assert "Traceback" not in done.stderr
    assert file.read_bytes() == before
    assert await health(place) == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.asyncio(loop_scope="module")
async def test_while_its_keys_cannot_be_read_it_says_so_and_afterwards_goes_on(
    place: Running,
) -> None:
    file = place.keys / "keys.json"
    good = file.read_bytes()
    async with Browser() as browser, OAuthClient(place, "streaming-web") as client:
        tokens = await client.tokens(browser)
        file.write_bytes(good[: len(good) // 2])
        try:
            answers = (
                await client.refresh(tokens["refresh_token"]),
                await client.http.get(f"{place.issuer}/jwks.json"),
            )
            for answer in answers:
                assert answer.json() == {"error": "temporarily_unavailable"}
                assert answer.status_code == 503
            place.kill(signal.SIGTERM)
            place.start()
            assert await health(place) == health_pb2.HealthCheckResponse.NOT_SERVING
        finally:
            file.write_bytes(good)
        assert (await client.refresh(tokens["refresh_token"])).status_code == 200
    said = place.log.read_text()
    assert "holds no signing keys" in said
    assert "Traceback" not in said
