"""Whatever is done to a trail is found, and named with its file and line."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.trails import TAMPERINGS, files, rechained, write_head, written
from meshpact.interceptors.auditverify import Anchor, Finding, Report, verify


def look(folder: Path) -> Report:
    (report,) = verify([folder], patience=0)
    return report


def only_fault(folder: Path) -> Finding:
    (found,) = [each for each in look(folder).findings if each.fault]
    return found


@given(
    lines=st.integers(0, 60),
    in_file=st.integers(1, 25),
    keep=st.sampled_from([2, 3, 100]),
)
@settings(max_examples=25, deadline=None)
def test_a_trail_as_it_was_written_is_sound(lines: int, in_file: int, keep: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trail = written(Path(folder), lines, in_file=in_file, keep=keep)
        report = look(Path(folder))
        assert report.sound, report.findings
        assert len(files(trail)) <= keep
        if keep == 100:
            assert not report.findings
            assert report.lines == lines + len(files(trail))


@pytest.mark.parametrize("kind", TAMPERINGS)
@given(
    chance=st.randoms(use_true_random=False),
    lines=st.integers(25, 60),
    in_file=st.integers(2, 12),
)
@settings(max_examples=12, deadline=None)
def test_tampering_is_found(kind: str, chance: random.Random, lines: int, in_file: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trail = written(Path(folder), lines, in_file=in_file)
        before = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        TAMPERINGS[kind](trail, chance)
        after = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        if before != after:
            assert not look(Path(folder)).sound


def test_a_changed_line_is_named(tmp_path: Path) -> None:
    trail = written(tmp_path, 25)
    path = trail.numbered(2)
    lines = path.read_bytes().splitlines()
    lines[4] = lines[4].replace(b'"deny"', b'"allow"')
    path.write_bytes(b"\n".join(lines) + b"\n")
    found = only_fault(tmp_path)
    assert (found.kind, found.path, found.line) == ("changed", path, 5)
    assert "was changed, or lines after it were cut out" in str(found)


def test_a_line_that_stands_twice_is_named(tmp_path: Path) -> None:
    trail = written(tmp_path, 5)
    lines = trail.active.read_bytes().splitlines()
    lines.insert(4, lines[2])
    trail.active.write_bytes(b"\n".join(lines) + b"\n")
    doubled = look(tmp_path).findings[0]
    assert (doubled.kind, doubled.line) == ("doubled", 5)
    assert "it is line 3" in doubled.text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    trail = written(tmp_path, 45)
    trail.numbered(2).unlink()
    found = only_fault(tmp_path)
    assert (found.kind, found.path) == ("missing-file", trail.numbered(3))
    assert found.text.startswith("file 2 before it is missing: ")


@pytest.mark.parametrize(
    ("missing", "said"),
    [(1, "1 line is missing at the end"), (3, "3 lines are missing at the end")],
)
def test_lines_missing_at_the_end_are_counted(tmp_path: Path, missing: int, said: str) -> None:
    trail = written(tmp_path, 8)
    lines = trail.active.read_bytes().splitlines(keepends=True)
    trail.active.write_bytes(b"".join(lines[:-missing]))
    found = only_fault(tmp_path)
    assert (found.kind, found.text) == ("cut", said)


def test_some_files_of_a_trail_are_verified_by_themselves(tmp_path: Path) -> None:
    trail = written(tmp_path, 45)
    middle = [trail.numbered(2), trail.numbered(3)]
    (report,) = verify(middle)
    assert (report.sound, report.files) == (True, 2)
    (report,) = verify([trail.numbered(1), trail.numbered(3)])
    assert [finding.kind for finding in report.findings] == ["missing-file"]


def test_a_trail_rewritten_whole_with_its_head_is_found_by_an_anchor_alone(tmp_path: Path) -> None:
    trail = written(tmp_path, 20)
    anchor = look(tmp_path).anchor
    assert anchor is not None
    everything = [path.read_bytes().splitlines(keepends=True) for path in files(trail)]
    everything[0][3] = everything[0][3].replace(b'"deny"', b'"allow"')
    last = rechained(everything)
    for path, lines in zip(files(trail), everything, strict=True):
        path.write_bytes(b"".join(lines))
    head = trail.read_head()
    assert head is not None
    write_head(trail, msgspec.structs.replace(head, hash=last))
    assert look(tmp_path).sound
    (report,) = verify([tmp_path], anchor)
    assert [finding.kind for finding in report.findings] == ["anchor"]


def test_an_anchor_stays_true_while_the_trail_grows(tmp_path: Path) -> None:
    written(tmp_path, 20)
    anchor = look(tmp_path).anchor
    assert anchor is not None
    written(tmp_path, 20)
    (report,) = verify([tmp_path], Anchor.parse(str(anchor)))
    assert report.sound


@pytest.mark.parametrize("text", ["", "7", "7:xyz", "x:" + "0" * 64, "7:" + "0" * 63])
def test_an_anchor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="LINES:HASH"):
        Anchor.parse(text)
