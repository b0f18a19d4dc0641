"""Images cut into parts that buf judges one by one: the same findings with a part of the memory.

A rule of buf looks at a file, or holds files against each other: those of a package or folder, the
packages of a cycle of imports, the services that share a request or response. What a rule may hold
against each other stays in one part; what a part imports from the others it gets as imports.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from meshpact.contracts.image import Image

FILES: Final = 1_000
"""How many own files a part has at most, where its rules let it be cut that small."""


def of_one(image: Image, files: int = FILES) -> Iterator[Image]:
    """The parts of an image for `buf lint`: together they have its own files, each once."""
    if len(image.own) <= files:
        yield image
        return
    groups = _Groups(file.package for file in image.own_files)
    for file in image.own_files:
        groups.join(file.package, ("folder", posixpath.dirname(file.name)))
        for service in file.service:
            for method in service.method:
                groups.join(file.package, ("type", method.input_type))
                groups.join(file.package, ("type", method.output_type))
    for cycle in _cycles(_imported_packages(image.files)):
        for package in cycle:
            groups.join(cycle[0], package)
    counts: dict[Hashable, int] = defaultdict(int)
    for file in image.own_files:
        counts[groups.of(file.package)] += 1
    cut = _Cut(image)
    for part in _filled(counts, files):
        own = [file.name for file in image.own_files if groups.of(file.package) in part]
        yield cut.part(own, imports=True)


def of_two(old: Image, new: Image, files: int = FILES) -> Iterator[tuple[Image, Image]]:
    """The parts of two images for `buf breaking`, without the packages in which nothing changed."""
    before, after = _bare(old), _bare(new)
    names = dict.fromkeys((*before, *after))
    groups = _Groups(())
    changed: list[str] = []
    for name in names:
        sides = [side[name] for side in (before, after) if name in side]
        for package, _ in sides:
            groups.join(sides[0][0], package)
        if len(sides) == 1 or sides[0] != sides[1]:
            changed.append(sides[0][0])
    wanted = {groups.of(package) for package in changed}
    counts: dict[Hashable, int] = defaultdict(int)
    for side in (before, after):
        for package, _ in side.values():
            if groups.of(package) in wanted:
                counts[groups.of(package)] += 1
    cuts = _Cut(old), _Cut(new)
    for part in _filled(counts, files):
        own = [
            [name for name, (package, _) in side.items() if groups.of(package) in part]
            for side in (before, after)
        ]
        yield cuts[0].part(own[0]), cuts[1].part(own[1])


def _bare(image: Image) -> dict[str, tuple[str, bytes]]:
    """The package of each own file, and what it says: comments and places left out."""
    return {file.name: (file.package, image.bare[file.name]) for file in image.own_files}


class _Cut:
    """An image that parts are taken from."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._files = [(file.name, tuple(file.dependency), file) for file in image.files]

    def part(self, names: Collection[str], *, imports: bool = False) -> Image:
        """Some of the own files, with what they import, or with all imports that there are."""
        needed = set(names)
        files: list[FileDescriptorProto] = []
        for name, dependencies, file in reversed(self._files):  # each follows its imports
            if name in needed or (imports and name not in self._image.own):
                needed.update(dependencies)
                files.append(file)
        own = {name: self._image.own[name] for name in names}
        return replace(self._image, files=tuple(reversed(files)), own=own)


def _filled(counts: Mapping[Hashable, int], limit: int) -> Iterator[set[Hashable]]:
    """Groups put together until a part is full; a group is never cut."""
    part, full = set[Hashable](), 0
    for group, count in counts.items():
        if part and full + count > limit:
            yield part
            part, full = set[Hashable](), 0
        part.add(group)
        full += count
    if part:
        yield part


class _Groups:
    """Things that belong together, told pair by pair (union-find)."""

    def __init__(self, things: Iterable[Hashable]) -> None:
        self._next: dict[Hashable, Hashable] = {thing: thing for thing in things}

    def of(self, thing: Hashable) -> Hashable:
        """The thing that stands for the group of one."""
        path: list[Hashable] = []
        while (above := self._next.setdefault(thing, thing)) != thing:
            path.append(thing)
            thing = above
        for each in path:
            self._next[each] = thing
        return thing

    def join(self, one: Hashable, two: Hashable) -> None:
        """Put the groups of two things together."""
        self._next[self.of(two)] = self.of(one)


def _imported_packages(files: Iterable[FileDescriptorProto]) -> dict[str, set[str]]:
    """Which other packages each package imports."""
    package: dict[str, str] = {}
    found: dict[str, set[str]] = defaultdict(set)
    for file in files:
        package[file.name] = file.package
        found[file.package].update(package[name] for name in file.dependency)
    return {name: others - {name} for name, others in found.items()}


def _cycles(graph: Mapping[str, Collection[str]]) -> Iterator[list[str]]:
    """The strongly connected components of two nodes and more (Tarjan, without recursion)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    waiting: dict[str, None] = {}
    for start in graph:
        work = [] if start in index else [(start, iter(graph[start]))]
        while work:
            node, others = work[-1]
            if node not in index:
                index[node] = lowest[node] = len(index)
                waiting[node] = None
            for other in others:
                if other not in index:
                    work.append((other, iter(graph[other])))
                    break
                if other in waiting:
                    lowest[node] = min(lowest[node], lowest[other])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    lowest[above] = min(lowest[above], lowest[node])
                if lowest[node] == index[node]:
                    members = [waiting.popitem()[0]]
                    while members[-1] != node:
                        members.append(waiting.popitem()[0])
                    if len(members) > 1:
                        yield members
