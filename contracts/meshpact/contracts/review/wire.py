"""What buf breaking says of two images: whether what was sent and generated still fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from meshpact.contracts.buf import breaking
from meshpact.contracts.image import Image
from meshpact.contracts.review.model import Change, Delta, Impact

CATEGORIES: Final = ("FILE", "PACKAGE", "WIRE_JSON", "WIRE")
"""buf's, the strictest first."""


def wire_changes(old: Image, new: Image, category: str) -> Iterator[Change]:
    """Everything that buf finds, in its words.

    Buf gets the packages in which a file changed, and what they import: it has nothing to say about
    the others, and would take its time and memory for them.
    """
    changed = _changed_packages(old, new)
    if not changed:
        return
    for fault in breaking(_only(new, changed), _only(old, changed), category):
        yield Change(Delta(fault.subject, Impact.BREAKS, fault.message), "", fault.place)


def _changed_packages(old: Image, new: Image) -> set[str]:
    before = {file.name: file for file in old.own_files}
    after = {file.name: file for file in new.own_files}
    return {
        side[name].package
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
        for side in (before, after)
        if name in side
    }


def _only(image: Image, packages: set[str]) -> Image:
    """The files of some packages as own ones, and what they import."""
    own = {file.name: image.own[file.name] for file in image.own_files if file.package in packages}
    needed = set(own)
    for file in reversed(image.files):  # each follows its imports
        if file.name in needed:
            needed.update(file.dependency)
    return replace(image, files=tuple(f for f in image.files if f.name in needed), own=own)
