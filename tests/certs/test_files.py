"""Files that are written whole, and that nobody else can read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from meshpact.certs.files import private_directory, write_whole


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_by_a_new_one_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(b"old")
    path.chmod(0o666)
    before = path.stat().st_ino
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert path.stat().st_ino != before
    assert names(tmp_path) == ["key.pem"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    (target / "inside").touch()
    with pytest.raises(OSError):
        write_whole(target, b"new")
    assert names(tmp_path) == ["taken"]


def test_a_link_in_the_way_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    (tmp_path / "link").symlink_to(elsewhere)
    write_whole(tmp_path / "link", b"ours")
    assert elsewhere.read_bytes() == b"theirs"
    assert not (tmp_path / "link").is_symlink()


def test_new_directories_are_private_and_open_ones_are_tightened(tmp_path: Path) -> None:
    deep = private_directory(tmp_path / "a" / "b" / "c")
    assert [mode(each) for each in (deep, deep.parent, deep.parent.parent)] == [0o700] * 3
    deep.chmod(0o755)
    assert mode(private_directory(deep)) == 0o700
