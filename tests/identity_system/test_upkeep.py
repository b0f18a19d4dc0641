"""The upkeep of keys: it goes on after faults, and health tells of old keys."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from meshpact.servers.background import Job
from meshpact.testing.clock import Clock
from reference.identity import signingkeys
from reference.identity.settings import Lifetimes
from reference.identity.signingkeys import KeyFileError, SigningKeys
from reference.identity.upkeep import EVERY, HEALTH, SOON, Upkeep

DAY = 86400.0


class Stage:
    """An upkeep whose clock the test moves."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.folder = folder
        self.keys = SigningKeys(folder, lifetime=300, clock=self.clock.time)
        self.health: dict[str, bool] = {}
        upkeep = Upkeep(
            self.keys,
            Lifetimes(),
            health=lambda name, good: self.health.update({name: good}),
        )
        self.job = Job("keys", upkeep.round, every=EVERY, pause=SOON, pause_at_most=EVERY)

    async def round(self) -> None:
        """Has it go round once."""
        await asyncio.wait_for(self.job.run_now(), 20)


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path / "keys")
    yield made
    await made.job.close()


@contextlib.contextmanager
def no_room() -> Generator[None]:
    """No file can grow, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def no_lock(folder: Path) -> Generator[None]:
    """The lock of the keys cannot be opened."""
    lock = folder / "lock"
    lock.unlink()
    lock.mkdir()
    try:
        yield
    finally:
        lock.rmdir()


async def test_a_new_key_signs_once_the_old_one_has_had_its_time(stage: Stage) -> None:
    first = stage.keys.signing().thumbprint()
    await stage.round()
    assert len(stage.keys.published()) == 1
    stage.clock.advance(31 * DAY)
    await stage.round()
    assert stage.keys.signing().thumbprint() == first
    stage.clock.advance(400)
    assert stage.keys.signing().thumbprint() != first
    assert stage.health == {HEALTH: True}


@pytest.mark.parametrize(
    ("fault", "words"),
    [("no room", "File too large"), ("no lock", "Is a directory"), ("held", "in use by another")],
)
async def test_keys_that_cannot_be_rotated_are_logged_tried_again_and_told_by_health(
    stage: Stage,
    fault: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(signingkeys, "PATIENCE", 0.0)
    await stage.round()
    first, file = stage.keys.signing().thumbprint(), stage.folder / "keys.json"
    before = file.read_bytes()
    faults = {
        "no room": no_room,
        "no lock": lambda: no_lock(stage.folder),
        "held": SigningKeys(stage.folder, lifetime=300).locked,
    }
    with faults[fault]():
        stage.clock.advance(30.5 * DAY)
        with pytest.raises((KeyFileError, OSError), match=words):
            await stage.round()
        assert stage.health == {HEALTH: True}, "it is tried for a day before that counts"
        stage.clock.advance(DAY)
        with pytest.raises((KeyFileError, OSError), match=words):
            await stage.round()
    assert stage.health == {HEALTH: False}
    assert sum(words in each.getMessage() for each in caplog.records) == 1
    assert all(each.exc_info is None for each in caplog.records), "no traceback for a full disk"
    assert file.read_bytes() == before
    assert [each.name for each in stage.folder.iterdir() if ".tmp" in each.name] == []
    assert stage.keys.signing().thumbprint() == first
    await stage.round()
    assert stage.health == {HEALTH: True}
    assert len(stage.keys.published()) == 2
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_damaged_file_of_keys_is_told_at_once(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.round()
    file = stage.folder / "keys.json"
    good = file.read_bytes()
    file.write_bytes(good[:40])
    with pytest.raises(KeyFileError):
        await stage.round()
    assert stage.health == {HEALTH: False}
    assert "holds no signing keys" in caplog.text
    file.write_bytes(good)
    await stage.round()
    assert stage.health == {HEALTH: True}


async def test_a_lock_that_another_process_keeps_is_waited_for_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (SigningKeys(tmp_path, lifetime=300) for _ in range(2))
    monkeypatch.setattr(signingkeys, "PATIENCE", 0.1)
    with one.locked(), pytest.raises(KeyFileError, match="in use"):
        other.rotate()
    assert len({other.rotate(), *(str(each["kid"]) for each in other.published())}) == 2


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    keys = SigningKeys(tmp_path, lifetime=300)
    (tmp_path / ".keys.json.0123456789ab.tmp").write_text("half a key")
    keys.rotate()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["keys.json", "lock"]
