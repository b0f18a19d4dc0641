"""A YAML file as a tree of nodes that know their lines, and the list of what is wrong in it.

Refused beyond YAML's own rules: a key that stands twice, aliases, and files of more than 4 MiB.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from meshpact.mesh.problems import MeshFileError, Problem

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_DEPTH: Final = 32

Place = tuple[str | int, ...]
"""Keys and indexes from the top of a file down to a value."""

_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Tree:
    """The nodes of one file by place. `root` is None when the file is empty."""

    def __init__(self, path: Path, root: yaml.Node | None) -> None:
        self.path = path
        self.root = root
        self._problems: list[Problem] = []
        self._lines: dict[Place, int] = {(): 1}
        if root is not None:
            self._index(root, ())

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest one above it that the file has."""
        while place not in self._lines:
            place = place[:-1]
        return self._lines[place]

    def add(self, place: Place, found: str, allowed: str = "", remedy: str = "") -> None:
        """Notes a fault at a place."""
        self._problems.append(
            Problem(self.path, self.line(place), spelled(place), found, allowed, remedy)
        )

    @property
    def sound(self) -> bool:
        """Whether no fault was noted."""
        return not self._problems

    def raise_problems(self) -> None:
        """Raises MeshFileError with all faults in the order of their lines, if there are any."""
        if self._problems:
            raise MeshFileError(sorted(self._problems, key=lambda problem: problem.line))

    def _index(self, node: yaml.Node, place: Place) -> None:
        if isinstance(node, yaml.MappingNode):
            self._index_mapping(node, place)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._lines[*place, index] = item.start_mark.line + 1
                self._index(item, (*place, index))

    def _index_mapping(self, node: yaml.MappingNode, place: Place) -> None:
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._lines[*place, "?"] = line
                self.add((*place, "?"), "a key that is not a text", "a text", "")
                continue
            name = str(key.value)
            if (*place, name) in self._lines:
                first = self._lines[*place, name]
                self._lines[*place, name] = line
                self.add(
                    (*place, name),
                    f"the key stands here and in line {first}",
                    "",
                    "Keep one of them",
                )
            self._lines[*place, name] = line
            self._index(value, (*place, name))


def read_tree(path: Path) -> Tree:
    """The tree of a YAML file. MeshFileError when it cannot be read or is not YAML."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _error(path, 0, f"cannot be read: {reason}", "Check the path") from None
    if len(data) > MAX_BYTES:
        raise _error(
            path,
            0,
            f"has {len(data)} bytes, of {MAX_BYTES} allowed",
            "Move role bindings to a bindings_file",
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _error(path, line, "is not UTF-8 text here", "Save the file as UTF-8") from None
    return Tree(path, _compose(path, text))


def _compose(path: Path, text: str) -> yaml.Node | None:
    try:
        _check_events(path, text)
        root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        found = ", ".join(part for part in (error.context, error.problem) if part)
        raise _error(
            path,
            mark.line + 1 if mark else 0,
            f"is not YAML: {found}",
            "Mind indents, and put texts with colons in quotes",
        ) from None
    except yaml.YAMLError as error:
        raise _error(path, 0, f"is not YAML: {str(error).splitlines()[0]}", "") from None
    return root


def _check_events(path: Path, text: str) -> None:
    """Refuses what composing nodes does not bear: depth ends the process there."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            found = f"an alias, *{event.anchor}, stands here"
            raise _error(path, line, found, "Write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            found = f"is nested more than {MAX_DEPTH} deep"
            raise _error(path, line, found, "Nest less deeply")


def spelled(place: Place) -> str:
    """A place as errors name it: `roles.inventory.writer.workloads[1]`."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def _error(path: Path, line: int, found: str, remedy: str) -> MeshFileError:
    return MeshFileError([Problem(path, line, "", found, "", remedy)])
