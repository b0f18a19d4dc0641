"""Semantic versions: which number a change moves, and what comes next.

Source: Semantic Versioning 2.0.0. Before 1.0.0, which it leaves open, the custom of package
managers: what breaks moves the second number, all else the third.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final

from meshpact.contracts.faults import WrongUse


class Bump(enum.Enum):
    """Which number of a version moves, the first one first."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"
    NONE = "none"

    @property
    def before_one(self) -> Bump:
        """What it is before version 1.0.0."""
        return _BEFORE_ONE[self]


@dataclass(frozen=True)
class Version:
    """A released version, `1.4.2`."""

    numbers: tuple[int, int, int]

    @classmethod
    def parse(cls, text: str) -> Version:
        """Reads `1.4.2` or `v1.4.2`. WrongUse for what is no released version."""
        match = _VERSION.fullmatch(text)
        if match is None:
            raise WrongUse(
                f"{text[:_LONGEST]!r} is no released version: write the three numbers of the last "
                "release, as in 1.4.2 (what a pre-release becomes depends on that)"
            )
        return cls((int(match[1]), int(match[2]), int(match[3])))

    def after(self, bump: Bump) -> Version:
        """The version that follows. Before 0.1.0 every change moves the third number."""
        major, minor, patch = self.numbers
        if major == 0:
            bump = bump.before_one
            if minor == 0 and bump is Bump.MINOR:
                bump = Bump.PATCH
        steps = {
            Bump.MAJOR: (major + 1, 0, 0),
            Bump.MINOR: (major, minor + 1, 0),
            Bump.PATCH: (major, minor, patch + 1),
            Bump.NONE: self.numbers,
        }
        return Version(steps[bump])

    def __str__(self) -> str:
        return ".".join(map(str, self.numbers))


@dataclass(frozen=True)
class Reason:
    """What decides a version: `finding` is the ID of a finding, "" where it is none."""

    rule: str
    subject: str
    message: str
    finding: str = ""


@dataclass(frozen=True)
class Suggestion:
    """The number that moves, and all that asks for it."""

    bump: Bump
    reasons: tuple[Reason, ...] = ()
    current: Version | None = None

    @property
    def next(self) -> Version | None:
        """The version after `current`."""
        return None if self.current is None else self.current.after(self.bump)


_BEFORE_ONE: Final = {
    Bump.MAJOR: Bump.MINOR,
    Bump.MINOR: Bump.PATCH,
    Bump.PATCH: Bump.PATCH,
    Bump.NONE: Bump.NONE,
}
_VERSION: Final = re.compile(r"v?(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(\+[\w.-]+)?")
_LONGEST: Final = 64
