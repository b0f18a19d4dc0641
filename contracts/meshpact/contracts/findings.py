"""What a look at contracts found: one shape for lint and review, whatever it is written as."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


class Severity(enum.Enum):
    """How much a finding matters."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Rule:
    """What a rule is about. `page` is where its documentation stands, "" for none."""

    id: str
    name: str
    """Lower-case words joined by hyphens: `list-paged`."""
    summary: str
    """One sentence, as `meshpact lint --rules` shows it."""
    page: str = ""


@dataclass(frozen=True)
class Finding:
    """One finding.

    Line and column count from 1, columns in characters; 0 means unknown. `subject` is the full name
    of what it is about: a method (`package.Service/Method`), a field, an enum value, "" for a file.
    """

    rule: str
    severity: Severity
    file: str
    line: int
    column: int
    message: str
    why: str
    """Why it matters, in a sentence."""
    remedy: str
    """What to do, in a sentence."""
    subject: str
    also: str = ""
    """What else an approval of it is about, such as whom it touches; not shown."""
    who: str = ""
    """Whom it touches, in a sentence."""

    @property
    def fingerprint(self) -> str:
        """Stands for the finding wherever its lines and its file move to: 16 hexadecimal digits."""
        about = self.subject or self.file
        text = "\0".join((self.rule, about, self.message, *([self.also] if self.also else [])))
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]

    @property
    def place(self) -> str:
        """`protos/a.proto:12:3`, as far as it is known."""
        numbers = (self.line, self.column) if self.line else ()
        return ":".join((self.file, *(str(number) for number in numbers if number)))


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings by place, each once."""
    return tuple(sorted(dict.fromkeys(findings), key=_order))


def _order(finding: Finding) -> tuple[str, int, int, str, str, str]:
    return (
        finding.file,
        finding.line,
        finding.column,
        finding.rule,
        finding.subject,
        finding.message,
    )


_DIGITS: Final = 16
