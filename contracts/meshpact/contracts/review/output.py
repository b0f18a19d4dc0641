"""The forms a review is written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshpact.contracts import report
from meshpact.contracts.faults import WrongUse
from meshpact.contracts.report import Format, Report
from meshpact.contracts.review import asjson, markdown
from meshpact.contracts.review.model import Review
from meshpact.mesh.reader import closest


@dataclass(frozen=True)
class Outputs:
    """What is shown, and what is written to which files."""

    shown: str
    files: tuple[tuple[str, Path], ...]


def outputs(shown: str, files: Sequence[str]) -> Outputs:
    """The forms asked for; `files` are `FORM=FILE`. WrongUse for one that there is not."""
    found: list[tuple[str, Path]] = []
    for entry in files:
        name, equals, file = entry.partition("=")
        if not equals or not file:
            raise WrongUse(f"--write {entry!r}: write it as {FORMS[0]}=FILE")
        found.append((_known(name), Path(file)))
    return Outputs(_known(shown), tuple(found))


def render(review: Review, form: str) -> str:
    """The review in one form."""
    return _WRITERS[form](review)


def _known(form: str) -> str:
    if form not in FORMS:
        remedy = closest(form, FORMS, f"There are: {', '.join(FORMS)}")
        raise WrongUse(f"there is no form {form!r}. {remedy}")
    return form


def _report(form: Format) -> Callable[[Review], str]:
    def write(review: Review) -> str:
        findings = tuple(change.finding for change in review.changes)
        rules = {change.delta.rule: change.rule for change in review.changes}
        return report.write(Report("review", findings, rules), form)

    return write


def _text(review: Review) -> str:
    return f"{_report(Format.TEXT)(review)}{markdown.verdict(review)}\n"


_WRITERS: Final[Mapping[str, Callable[[Review], str]]] = {
    "markdown": markdown.write,
    "text": _text,
    "json": asjson.write,
    "github": _report(Format.GITHUB),
    "sarif": _report(Format.SARIF),
}
FORMS: Final = tuple(_WRITERS)
