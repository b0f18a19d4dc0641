"""A range of commits as `git log` takes it, `A..B`, and the commits that it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from meshpact.contracts.faults import WrongUse
from meshpact.contracts.review.gitobjects import Commit, Repository


@dataclass(frozen=True)
class Range:
    """The commits from `base` (not in it) to `until`, the oldest first.

    `base` is the first end of the range, or the commit at which both ends went their ways. `names`
    are both ends for people.
    """

    base: str
    until: str
    commits: tuple[Commit, ...]
    names: tuple[str, str]
    forked: bool

    @property
    def before(self) -> str:
        """What the first commit follows."""
        parents = self.commits[0].parents if self.commits else ()
        return parents[0] if parents else self.base


def commits_of(repository: Repository, text: str) -> Range:
    """The range that a text names. WrongUse says what to write instead."""
    one, dots, two = text.partition("..")
    if not dots or not one or two.startswith("."):
        raise WrongUse(f"{text!r} is no range of commits: write A..B, as in v1.2.0..HEAD")
    since, until = _commit(repository, one), _commit(repository, two or "HEAD")
    names = f"{one} ({since[:12]})", f"{two or 'HEAD'} ({until[:12]})"
    base = repository.fork(since, until)
    if base is None:
        if repository.is_shallow:
            raise WrongUse(f"this clone is shallow: how {one} led to {two} is not known; {_DEEPEN}")
        raise WrongUse(f"{names[0]} and {names[1]} have no commit in common: nothing to log")
    if base == until != since:
        raise WrongUse(
            f"{names[0]} is younger than {names[1]}: turn the range around, {two or 'HEAD'}..{one}"
        )
    commits = repository.line(base, until)
    if repository.is_shallow and commits and not commits[0].parents:
        raise WrongUse(
            f"this clone is shallow: what stands before {commits[0].id[:12]} is cut off; {_DEEPEN}"
        )
    return Range(base, until, tuple(commits), names, base != since)


def _commit(repository: Repository, name: str) -> str:
    try:
        return repository.commit(name)
    except WrongUse:
        if not repository.is_shallow:
            raise
        raise WrongUse(
            f"git has no commit {name!r}, and this clone is shallow; {_DEEPEN}"
        ) from None


_DEEPEN: Final = "git fetch --unshallow --tags brings the rest, or fetch-depth: 0 in CI"
