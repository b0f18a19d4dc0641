"""`meshpact review`, whole: both sides read at once, compared, and held against approvals."""

from __future__ import annotations

import contextlib
import datetime
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from meshpact.contracts.access.methods import Overlay
from meshpact.contracts.access.trail import read_traffic, trail_files
from meshpact.contracts.faults import WrongUse
from meshpact.contracts.garbage import no_collection
from meshpact.contracts.review.approvals import approvals
from meshpact.contracts.review.bump import Version
from meshpact.contracts.review.codeowners import CodeOwners
from meshpact.contracts.review.compare import State, compare
from meshpact.contracts.review.model import Review
from meshpact.contracts.review.semver import suggest
from meshpact.contracts.review.settings import Settings, apply
from meshpact.contracts.review.sides import Asked, side_named, working_tree
from meshpact.contracts.review.surface import additions
from meshpact.contracts.review.touches import Usage
from meshpact.contracts.review.trials import MOST


@dataclass(frozen=True)
class Question:
    """What is to be reviewed. `head` "" means the working tree; `current` is the last released
    version, `texts` is how many are tried at most on rules that cannot be compared, and `now` is
    when days are counted from."""

    against: str
    asked: Asked
    head: str = ""
    against_protos: Sequence[Path] = ()
    audit: Sequence[Path] = ()
    days: int = 30
    current: Version | None = None
    owners: CodeOwners | None = None
    texts: int = MOST
    now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC)


def review(question: Question, settings: Settings, built_in: Overlay) -> Review:
    """The review. Raises WrongUse, Unreadable and MeshFileError."""
    asked = question.asked
    missing = [root for root in asked.protos if not root.is_dir()]
    if missing and not question.head:
        raise WrongUse(f"{missing[0]} is not a folder: give that of your contracts, --protos DIR")
    before = replace(asked, protos=question.against_protos or asked.protos)
    now = question.now()
    usage = None
    if question.audit:
        since = (now - datetime.timedelta(days=question.days)).strftime("%Y-%m-%dT%H:%M:%S")
        usage = Usage(read_traffic(trail_files(question.audit), since), question.days)
    with contextlib.ExitStack() as stack:
        folders = [
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="meshpact-review-")))
            for _ in range(2)
        ]
        sides = stack.enter_context(contextlib.ExitStack()), contextlib.ExitStack()
        stack.enter_context(sides[1])
        since_head = question.head or "HEAD"
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(
                lambda: sides[0].enter_context(
                    side_named(question.against, before, folders[0], since_head, stands=True)
                )
            )
            head = (
                side_named(question.head, asked, folders[1])
                if question.head
                else working_tree(asked)
            )
            new = sides[1].enter_context(head)
            old = reading.result()
        with no_collection():
            one = State(old, built_in, whole=False)
            two = State(new, built_in, whole=False)
            found = compare(one, two, settings.wire, usage, question.texts)
        images = old.image, new.image
        added = list(additions(*images, found.pairs.messages))
        remarks = [*old.remarks, *found.remarks]
        if asked.mesh is None:
            remarks.append("no mesh.yaml was given: who gains and who loses is not known (--mesh)")
        changes, stale = apply(found.changes, settings.waivers, now.date().isoformat())
        shown = [replace(change, place=old.show(new.show(change.place))) for change in changes]
        return Review(
            against=old.name,
            head=new.name,
            changes=tuple(shown),
            stale=tuple(stale),
            remarks=tuple(remarks),
            has_mesh=asked.mesh is not None,
            approvals=approvals(shown, question.owners, asked.protos) if question.owners else None,
            semver=suggest(found.changes, added, images, question.current),
        )
