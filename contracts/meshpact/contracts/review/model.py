"""What a review is made of: findings with a class, and the callers that each touches."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from meshpact.contracts.faults import Place
from meshpact.contracts.findings import Finding, Rule, Severity
from meshpact.contracts.review.bump import Suggestion
from meshpact.contracts.review.codeowners import Demand
from meshpact.contracts.review.rules import RULES, WIRE
from meshpact.interceptors.errors import MeshpactError


class Impact(enum.Enum):
    """What a change means, the worst first."""

    BREAKS = "breaks-callers"
    WIDENS = "widens-access"
    NOTE = "note"


@dataclass(frozen=True)
class Delta:
    """One difference of two policies, fields or errors: what it is, without whose it is.

    `part` is where in the policy it stands (`access.roles`), "" outside policies.
    """

    rule: str
    impact: Impact
    message: str
    part: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Touch:
    """Somebody whom a change touches. `kind`: gains, loses, changes (a caller of the mesh and a
    method), deadline (a time that no longer fits), callers (who calls a method as mesh.yaml says),
    uses (a method, or `count` more, that takes what changed), calls (`count` calls in an audit
    trail)."""

    kind: str
    who: str
    method: str
    text: str
    count: int = 0


@dataclass(frozen=True)
class Waiver:
    """An approval on file. `expires` is a date as ISO 8601 has it."""

    id: str
    reason: str
    owner: str
    expires: str


@dataclass(frozen=True)
class Change:
    """One finding of a review; `subject` is the full name of a method, field, error or message."""

    delta: Delta
    subject: str
    place: Place
    touched: tuple[Touch, ...] = ()
    waiver: Waiver | None = None
    copy: int = 0
    """Which of several findings it is that say the same of the same, from 0."""

    @property
    def rule(self) -> Rule:
        """What kind of finding it is."""
        return rule_of(self.delta.rule)

    @property
    def needs_approval(self) -> bool:
        """Whether somebody must look at it."""
        return self.delta.impact is not Impact.NOTE and self.waiver is None

    @property
    def id(self) -> str:
        """Stands for the finding wherever it stands, until what it says changes, or of whom."""
        return self.finding.fingerprint

    @property
    def finding(self) -> Finding:
        """The finding as every report has it."""
        about = RULES.get(self.delta.rule, WIRE)
        return Finding(
            rule=self.delta.rule,
            severity=Severity.NOTE if self.waiver else _SEVERITIES[self.delta.impact],
            file=self.place.file,
            line=self.place.line,
            column=self.place.column,
            message=self.delta.message,
            why=about.why,
            remedy=about.remedy,
            subject=self.subject,
            also=self._about,
        )

    @property
    def _about(self) -> str:
        """Whom it touches: an approval for some is none for others. Who really called is not in it,
        as that changes by the day."""
        whom = {
            f"{each.kind} {each.who} {each.method}"
            for each in self.touched
            if each.kind not in ("calls", "nobody")
        }
        return "\n".join([*sorted(whom), *([f"copy {self.copy}"] if self.copy else [])])


@dataclass(frozen=True)
class Approval:
    """Findings that the same owners must approve; a demand without owners: nobody owns them."""

    demand: Demand
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Review:
    """All that a review found. `against` and `head` name the two sides for people."""

    against: str
    head: str
    changes: tuple[Change, ...]
    stale: tuple[str, ...] = ()
    """Sentences about waivers that are of no use any more."""
    remarks: tuple[str, ...] = ()
    """Sentences about what could not be looked at."""
    has_mesh: bool = False
    semver: Suggestion | None = None
    """The version that the change asks for."""
    approvals: tuple[Approval, ...] | None = None
    """Who must approve what needs approval; None where no CODEOWNERS was given."""

    @property
    def needs_approval(self) -> bool:
        """Whether any finding must be looked at."""
        return any(change.needs_approval for change in self.changes)

    @property
    def exit_code(self) -> int:
        """0 nothing to approve, 1 something, 2 the file of waivers is out of date."""
        return 2 if self.stale else int(self.needs_approval)

    def of(self, impact: Impact) -> tuple[Change, ...]:
        """The findings of a class that nobody waived."""
        return tuple(
            each for each in self.changes if each.delta.impact is impact and each.waiver is None
        )


class Unreadable(MeshpactError):
    """A side of a review cannot be read or compiled."""

    exit_code = 2


def rule_of(name: str) -> Rule:
    """A rule by its ID; those of buf bear buf's names."""
    about = RULES.get(name)
    if about is None:
        return Rule(name, name.lower().replace("_", "-"), WIRE.summary)
    return Rule(name, name, about.summary, PAGE)


PAGE = "docs/how-to/review-a-change.md"

_SEVERITIES = {
    Impact.BREAKS: Severity.ERROR,
    Impact.WIDENS: Severity.WARNING,
    Impact.NOTE: Severity.NOTE,
}
