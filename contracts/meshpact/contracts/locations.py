"""Where in a source file a thing stands: services, methods, and the parts inside their options.

protoc gives the place of every statement (SourceCodeInfo), but nothing inside an option's braces;
there the source is read again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, SourceCodeInfo

from meshpact.contracts import bufimage, textformat

OPTION: Final = 61637
"""The extension number of all options of meshpact.policy.v1."""

_PACKED_OPTION: Final = bufimage.varint(OPTION)
_PATH: Final = 1 << 3 | 2
_ONE_BYTE: Final = 0x7F
"""The largest number that takes a byte."""

_TO_TOOLS: Final = ("buf:lint:", "meshpact:lint-ignore")
"""What the lines of a comment begin with that speak to a tool, not to people."""

_TAB: Final = 8  # protoc counts a tab as the columns up to the next multiple of 8

Position = tuple[int, int]
"""Line and column, from 1; (0, 0) when unknown."""


@dataclass(frozen=True)
class Stated:
    """One field that an option states: its names from the option down, where, its scalar's text."""

    names: tuple[str, ...]
    position: Position
    text: str


class FileLocations:
    """The places of one file. `source` may be missing: places inside options are then coarser."""

    def __init__(self, file: FileDescriptorProto, source: Path | None) -> None:
        self._file = file
        self._source = source
        self._comments: dict[tuple[int, ...], str] = {}

    def comment(self, path: Sequence[int]) -> str:
        """The comment of a thing: the one before it, else the one after it on its line."""
        wanted = tuple(path)
        known = self._comments.get(wanted)
        if known is None:
            found = self._first(wanted)
            known = ""
            if found is not None:
                known = _clean(found.leading_comments) or _clean(found.trailing_comments)
            self._comments[wanted] = known
        return known

    def of(self, path: Sequence[int]) -> Position:
        """The place of what stands at a descriptor path (descriptor.proto, SourceCodeInfo)."""
        found = self._first(path)
        return (0, 0) if found is None else self._start(found)

    def policy_option(self, options: Sequence[int], root: Descriptor) -> list[Stated]:
        """What one of our options states, in the order of the source.

        `options` is the descriptor path of the options message, `root` the option's message type.
        A statement of the option as a whole is there too, without names.
        """
        stated: list[Stated] = []
        for location in self._by_option.get(tuple(options), ()):
            names = _names(tuple(location.path)[len(options) + 1 :], root)
            stated += self._statement(location, names)
        return sorted(stated, key=lambda entry: (entry.position, len(entry.names)))

    def _statement(self, location: SourceCodeInfo.Location, names: tuple[str, ...]) -> list[Stated]:
        start, end = self._offsets(location)
        inside = [
            Stated((*names, *entry.names), self._position(start + entry.offset), entry.text)
            for entry in textformat.scan(self._text[start:end])
        ]
        scalar = inside[0].text if inside and inside[0].names == names else ""
        inner = [entry for entry in inside if len(entry.names) > len(names)]
        return [Stated(names, self._start(location), scalar), *inner]

    def _first(self, path: Sequence[int]) -> SourceCodeInfo.Location | None:
        """The first location of a path."""
        found = self._by_path.get(_packed(path))
        return None if found is None else self._location(found)

    def _location(self, found: tuple[int, int]) -> SourceCodeInfo.Location:
        return SourceCodeInfo.Location.FromString(self._places[found[0] : found[1]])

    @cached_property
    def _places(self) -> bytes:
        """All locations as bytes: they are many, and few of them are looked at."""
        return self._file.source_code_info.SerializeToString()

    @cached_property
    def _by_path(self) -> dict[bytes, tuple[int, int]]:
        """Where in `_places` the first location of each path stands; paths are packed numbers."""
        places, at, index = self._places, 0, dict[bytes, tuple[int, int]]()
        while at < len(places):
            start, size = at + 2, places[at + 1]  # the tag and the size, mostly of a byte each
            if size > _ONE_BYTE:
                start, size = _sized(places, at + 1)
            end, path = start + size, b""
            if places[start] == _PATH:
                begin, size = start + 2, places[start + 1]
                if size > _ONE_BYTE:
                    begin, size = _sized(places, start + 1)
                path = places[begin : begin + size]
            if path not in index:
                index[path] = start, end
            at = end
        return index

    @cached_property
    def _by_option(self) -> dict[tuple[int, ...], list[SourceCodeInfo.Location]]:
        """The locations of what our options state, by the path of the options they stand in."""
        index: dict[tuple[int, ...], list[SourceCodeInfo.Location]] = {}
        if _PACKED_OPTION not in self._places:
            return index
        for location in self._file.source_code_info.location:
            path = tuple(location.path)
            for at, number in enumerate(path):
                if number == OPTION:
                    index.setdefault(path[:at], []).append(location)
        return index

    @cached_property
    def _text(self) -> str:
        if self._source is None:
            return ""
        return self._source.read_bytes().decode("utf-8", errors="replace")

    @cached_property
    def _lines(self) -> list[str]:
        return self._text.split("\n")

    @cached_property
    def _starts(self) -> list[int]:
        """The offset of each line."""
        return [0, *accumulate(len(line) + 1 for line in self._lines[:-1])]

    def _start(self, location: SourceCodeInfo.Location) -> Position:
        line, column = location.span[0], location.span[1]
        text = self._lines[line] if line < len(self._lines) else ""
        return line + 1, (_character(text, column) if text else column) + 1

    def _position(self, offset: int) -> Position:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def _offsets(self, location: SourceCodeInfo.Location) -> tuple[int, int]:
        """The characters that a location spans, (0, 0) when the source is not at hand."""
        span, lines = location.span, self._lines
        first, last = span[0], span[2] if len(span) == 4 else span[0]
        if last >= len(lines):
            return 0, 0
        start = self._starts[first] + _character(lines[first], span[1])
        return start, self._starts[last] + _character(lines[last], span[-1])


def column(source: Path, line: int, column: int) -> int:
    """The column in characters, from 1, that protoc gives in its errors (from 1, tabs widened)."""
    try:
        lines = source.read_bytes().decode("utf-8", errors="replace").split("\n")
    except OSError:
        return column
    return _character(lines[line - 1], column - 1) + 1 if 0 < line <= len(lines) else column


def inside(source: Path, line: int, column: int, name: str, value: str = "") -> Position:
    """Where the one field `name` (with `value`, if given) stands in an option's braces, which open
    at a place; that place itself where this cannot be told."""
    try:
        text = source.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return line, column
    lines = text.split("\n")
    start = sum(len(each) + 1 for each in lines[: line - 1]) + column - 1
    found = [
        entry.offset - 1 + start
        for entry in textformat.scan(f"={text[start:]}")
        if entry.names[-1:] == (name,) and (not value or entry.text == value)
    ]
    if len(found) != 1:
        return line, column
    before = text[: found[0]]
    return before.count("\n") + 1, found[0] - (before.rfind("\n") + 1) + 1


def _packed(path: Sequence[int]) -> bytes:
    """A path as it stands in a serialized location: numbers of 7 bits are bytes."""
    try:
        packed = bytes(path)
    except ValueError:
        packed = b"\xff"
    return packed if packed.isascii() else b"".join(map(bufimage.varint, path))


def _sized(content: bytes, at: int) -> tuple[int, int]:
    """The offset behind the number at an offset, and the number."""
    number = shift = 0
    while (byte := content[at]) > _ONE_BYTE:
        number |= (byte & _ONE_BYTE) << shift
        shift += 7
        at += 1
    return at + 1, number | byte << shift


def _names(path: tuple[int, ...], root: Descriptor) -> tuple[str, ...]:
    names: list[str] = []
    message: Descriptor | None = root
    numbers = iter(path)
    for number in numbers:
        if message is None:
            break
        field = message.fields_by_number[number]
        names.append(field.name)
        message = field.message_type
        if field.is_repeated:
            next(numbers, None)
    return tuple(names)


def _character(line: str, column: int) -> int:
    """The index of the character at protoc's column, which counts bytes and widens tabs."""
    at = 0
    for index, character in enumerate(line):
        if at >= column:
            return index
        at += _TAB - at % _TAB if character == "\t" else len(character.encode())
    return len(line)


def _clean(comment: str | bytes) -> str:
    """What a comment says. It is bytes where somebody else compiled text that is not UTF-8."""
    if isinstance(comment, bytes):
        comment = comment.decode(errors="replace")
    if "\n" not in comment[:-1] and not comment.startswith(_TO_TOOLS, 1):
        return comment.rstrip().removeprefix(" ")
    lines = [line.rstrip() for line in comment.split("\n")]
    lines = [line.removeprefix(" ") for line in lines]
    return "\n".join(line for line in lines if not line.startswith(_TO_TOOLS)).strip("\n")
