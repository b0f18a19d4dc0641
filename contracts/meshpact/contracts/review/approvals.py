"""Who must approve which findings, by CODEOWNERS."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from meshpact.contracts.faults import WrongUse
from meshpact.contracts.review.codeowners import CodeOwners, Demand
from meshpact.contracts.review.gitobjects import Repository
from meshpact.contracts.review.model import Approval, Change


def approvals(
    changes: Sequence[Change], owners: CodeOwners, protos: Sequence[Path]
) -> tuple[Approval, ...]:
    """What each group of owners must approve, in the order of the findings; what nobody owns comes
    last, with a demand without owners."""
    top = _top()
    found: dict[Demand, list[Change]] = {}
    free: list[Change] = []
    for change in changes:
        if not change.needs_approval:
            continue
        path = _path(change, top, protos)
        demands = owners.of(path) if path else []
        for demand in demands:
            found.setdefault(demand, []).append(change)
        if not demands:
            free.append(change)
    groups = [*found.items(), *([(Demand(()), free)] if free else [])]
    return tuple(Approval(demand, tuple(each)) for demand, each in groups)


def _top() -> Path:
    here = Path.cwd()
    try:
        return Repository.around(here).top.resolve()
    except WrongUse:
        return here


def _path(change: Change, top: Path, protos: Sequence[Path]) -> str:
    """The file of a finding from the repository's top; "" for none."""
    file = _COMMIT.sub("", change.place.file)
    if not file and (match := _DELETED.fullmatch(change.delta.message)):
        file = str(protos[0] / match["file"])
    if not file:
        return ""
    if file != change.place.file and change.place.file:
        return file  # of a commit, and so from the top
    return Path(os.path.relpath(Path(file).absolute(), top)).as_posix()


_COMMIT: Final = re.compile(r"[0-9a-f]{12}:")
_DELETED: Final = re.compile(r'Previously present file "(?P<file>.+)" was deleted\.')
