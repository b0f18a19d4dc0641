"""Where the socket lies: below the state, or elsewhere when its path is too long; never shared."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshpact.mesh.state import State, StateError
from meshpact.servers.workloadapi.place import PATH_LIMIT, PUBLIC, Place


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a path as short as people have them."""
    with tempfile.TemporaryDirectory(prefix="wl-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def deep(short: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A state whose path is too long for a socket; sockets may go to `short`/run."""
    (short / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short / "run"))
    return State(short / ("d" * 60) / ("e" * 60)).create()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_socket_lies_below_the_state_and_is_its_owner_s_alone(short: Path) -> None:
    place = Place.of(State(short).create())
    with place.listen():
        assert place.directory == short / "workload-api"
        assert not place.elsewhere
        assert place.address == f"unix://{short}/workload-api/{PUBLIC}"
        assert mode(place.directory) == 0o700
        assert mode(place.directory / PUBLIC) == 0o600


def test_a_path_too_long_for_a_socket_moves_it_to_a_directory_of_its_own(
    deep: State, short: Path
) -> None:
    place = Place.of(deep)
    with place.listen():
        assert place.elsewhere
        assert place.directory.parent == short / "run"
        assert mode(place.directory) == 0o700
        assert len(os.fsencode(place.directory / PUBLIC)) <= PATH_LIMIT
    assert Place.of(deep) == place
    assert Place.of(State(f"{deep.root}2")) != place
    place.clear()
    assert not place.directory.exists()


@pytest.mark.parametrize("how", ["open to others", "a link", "a file"])
def test_a_directory_elsewhere_that_others_may_have_made_is_refused(
    deep: State, short: Path, how: str
) -> None:
    directory = Place.of(deep).directory
    match how:
        case "open to others":
            directory.mkdir()
            directory.chmod(0o755)
        case "a link":
            directory.symlink_to(short)
        case _:
            directory.touch()
    with pytest.raises(StateError, match="--state DIRECTORY"):
        Place.of(deep).listen()


def test_what_a_killed_supervisor_left_behind_is_replaced(short: Path) -> None:
    place = Place.of(State(short).create())
    with place.listen():
        pass  # closed, and its file is still there
    (place.directory / "inner.sock").touch()
    (place.directory / "p0123").touch()
    with place.listen(), socket.socket(socket.AF_UNIX) as caller:
        assert [path.name for path in place.directory.iterdir()] == [PUBLIC]
        caller.connect(str(place.directory / PUBLIC))


def test_what_cannot_be_replaced_is_named(short: Path) -> None:
    place = Place.of(State(short).create())
    (place.directory / "a directory").mkdir(parents=True)
    with pytest.raises(StateError, match="cannot hold the socket of the Workload API"):
        place.listen()
