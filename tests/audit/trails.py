"""Audit trails of every form, and every way to tamper with them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from meshpact.interceptors.audit import AuditLine, timestamp
from meshpact.interceptors.auditfile import HEAD_BYTES, AuditFile
from meshpact.interceptors.auditlayout import Head, Trail, digest

CALLER: Final = "spiffe://test.example/caller"


def line(
    number: int, *, event: str = "call", method: str = "/demo.v1.DemoService/Echo"
) -> AuditLine:
    """A line that differs from others by its trace."""
    return AuditLine(
        v=1,
        time=timestamp(),
        event=event,
        service="demo",
        method=method,
        caller=CALLER,
        user_hash="",
        peer="ipv4:127.0.0.1:1",
        decision="deny",
        check="access",
        reason="ROLE_MISSING",
        code="PERMISSION_DENIED",
        policy="d1",
        trace_id=f"{number:032x}",
    )


def written(folder: Path, lines: int, *, in_file: int = 10, keep: int = 100) -> Trail:
    """A trail of so many calls, `in_file` of them in each file."""
    file = AuditFile(folder / "demo.jsonl", max_bytes=440 * in_file, keep=keep)
    for number in range(lines):
        file.append([line(number)])
    file.close()
    return file.trail


def files(trail: Trail) -> list[Path]:
    """The files of a trail, oldest first."""
    return [*(path for _, path in trail.full()), trail.active]


Tampering = Callable[[Trail, random.Random], None]


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def _edit(change: Callable[[list[bytes], random.Random], None]) -> Tampering:
    """Changes the lines of one file."""

    def tamper(trail: Trail, chance: random.Random) -> None:
        path = chance.choice(files(trail))
        lines = _lines(path)
        change(lines, chance)
        path.write_bytes(b"".join(lines))

    return tamper


def _change_byte(trail: Trail, chance: random.Random) -> None:
    path = chance.choice(files(trail))
    data = bytearray(path.read_bytes())
    place = chance.randrange(len(data))
    data[place] ^= chance.randrange(1, 256)
    path.write_bytes(data)


def _change_field(lines: list[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(lines))
    fields: dict[str, object] = msgspec.json.decode(lines[place])
    name = chance.choice(sorted(fields))
    before = fields[name]
    fields[name] = before + 1 if isinstance(before, int) else f"{before}x"
    lines[place] = msgspec.json.encode(fields) + b"\n"


def _cut_one(lines: list[bytes], chance: random.Random) -> None:
    del lines[chance.randrange(len(lines))]


def _cut_some(lines: list[bytes], chance: random.Random) -> None:
    start = chance.randrange(len(lines))
    del lines[start : start + chance.randrange(1, 5)]


def _swap_neighbours(lines: list[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(lines) - 1)
    lines[place], lines[place + 1] = lines[place + 1], lines[place]


def _move(lines: list[bytes], chance: random.Random) -> None:
    source, target = chance.sample(range(len(lines)), 2)
    lines.insert(target, lines.pop(source))


def _double(lines: list[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(lines))
    lines.insert(chance.randrange(place, len(lines)) + 1, lines[place])


def _insert(lines: list[bytes], chance: random.Random) -> None:
    """A line that follows the one before it."""
    place = chance.randrange(1, len(lines) + 1)
    lines.insert(place, _following(lines[place - 1]))


def _following(before: bytes) -> bytes:
    forged = msgspec.structs.replace(line(666), prev=digest(before.rstrip(b"\n")))
    return msgspec.json.encode(forged) + b"\n"


def _insert_blank(lines: list[bytes], chance: random.Random) -> None:
    lines.insert(chance.randrange(len(lines) + 1), b"\n")


def _cut_end(trail: Trail, chance: random.Random) -> None:
    lines = _lines(trail.active)
    keep = chance.randrange(1, len(lines)) if len(lines) > 1 else 0
    trail.active.write_bytes(b"".join(lines[:keep]))


def _cut_bytes(trail: Trail, chance: random.Random) -> None:
    path = chance.choice(files(trail))
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))])


def _append(trail: Trail, chance: random.Random) -> None:
    data = trail.active.read_bytes()
    for _ in range(chance.randrange(1, 4)):
        data += _following(data.splitlines()[-1])
    trail.active.write_bytes(data)


def _append_part(trail: Trail, chance: random.Random) -> None:
    data = trail.active.read_bytes()
    more = _following(data.splitlines()[-1])
    trail.active.write_bytes(data + more[: chance.randrange(1, len(more))])


def _rechain(trail: Trail, chance: random.Random) -> None:
    """Changes a line and every hash after it, in this and all later files; but not the head."""
    found = files(trail)
    everything = [_lines(path) for path in found]
    which = chance.randrange(len(found))
    place = chance.randrange(1, len(everything[which])) if len(everything[which]) > 1 else 0
    fields: dict[str, object] = msgspec.json.decode(everything[which][place])
    fields["time"] = "1999-01-01T00:00:00.000Z"
    everything[which][place] = msgspec.json.encode(fields) + b"\n"
    rechained(everything)
    for path, lines in zip(found, everything, strict=True):
        path.write_bytes(b"".join(lines))


def rechained(everything: list[list[bytes]]) -> str:
    """Makes each line of all files hold the hash of the one before; returns the last hash."""
    prev = ""
    for lines in everything:
        for place, data in enumerate(lines):
            fields: dict[str, object] = msgspec.json.decode(data)
            fields["prev"] = prev
            lines[place] = msgspec.json.encode(fields) + b"\n"
            prev = digest(lines[place][:-1])
    return prev


def _remove(trail: Trail, chance: random.Random) -> None:
    chance.choice(files(trail)).unlink()


def _remove_oldest(trail: Trail, chance: random.Random) -> None:
    for path in files(trail)[: chance.randrange(1, len(files(trail)))]:
        path.unlink()


def _remove_all(trail: Trail, _: random.Random) -> None:
    for path in files(trail):
        path.unlink()


def _empty(trail: Trail, chance: random.Random) -> None:
    chance.choice(files(trail)).write_bytes(b"")


def _swap_files(trail: Trail, chance: random.Random) -> None:
    one, other = chance.sample(files(trail), 2)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def _copy_file(trail: Trail, chance: random.Random) -> None:
    one, other = chance.sample(files(trail), 2)
    one.write_bytes(other.read_bytes())


def _renumber(trail: Trail, chance: random.Random) -> None:
    number, path = chance.choice(trail.full())
    path.rename(trail.numbered(number + 500))


def _append_earlier(trail: Trail, chance: random.Random) -> None:
    """Moves the first lines of a file to the end of the one before."""
    found = files(trail)
    which = chance.randrange(1, len(found))
    lines = _lines(found[which])
    cut = chance.randrange(1, len(lines)) if len(lines) > 1 else 1
    found[which - 1].write_bytes(found[which - 1].read_bytes() + b"".join(lines[:cut]))
    found[which].write_bytes(b"".join(lines[cut:]))


def _remove_head(trail: Trail, _: random.Random) -> None:
    trail.head.unlink()


def _change_head(trail: Trail, chance: random.Random) -> None:
    head = trail.read_head()
    assert head is not None
    name = chance.choice(["lines", "file", "first", "v", "hash"])
    value: object = "0" * 64 if name == "hash" else getattr(head, name) + chance.choice([-1, 1])
    write_head(trail, msgspec.structs.replace(head, **{name: value}))


def _garble_head(trail: Trail, chance: random.Random) -> None:
    data = trail.head.read_bytes().rstrip()
    trail.head.write_bytes(data[: chance.randrange(len(data))])


def write_head(trail: Trail, head: Head) -> None:
    """Puts another head in place."""
    trail.head.write_bytes(msgspec.json.encode(head).ljust(HEAD_BYTES - 1) + b"\n")


TAMPERINGS: Final[dict[str, Tampering]] = {
    "a byte changed": _change_byte,
    "a field changed": _edit(_change_field),
    "a line cut out": _edit(_cut_one),
    "some lines cut out": _edit(_cut_some),
    "neighbours swapped": _edit(_swap_neighbours),
    "a line moved": _edit(_move),
    "a line doubled": _edit(_double),
    "a line put in": _edit(_insert),
    "a blank line put in": _edit(_insert_blank),
    "lines cut at the end": _cut_end,
    "a file cut short": _cut_bytes,
    "lines added at the end": _append,
    "part of a line added": _append_part,
    "a line changed and all hashes after it": _rechain,
    "a file removed": _remove,
    "the oldest files removed": _remove_oldest,
    "all files removed": _remove_all,
    "a file emptied": _empty,
    "two files swapped": _swap_files,
    "a file put over another": _copy_file,
    "a file renumbered": _renumber,
    "lines moved to the file before": _append_earlier,
    "the head removed": _remove_head,
    "the head changed": _change_head,
    "the head cut": _garble_head,
}
"""Everything that can be done to a trail short of rewriting it whole, by name."""
