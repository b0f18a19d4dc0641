"""The forms a review and a log are written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from meshpact.contracts import report
from meshpact.contracts.faults import WrongUse
from meshpact.contracts.report import Format, Report
from meshpact.contracts.review import asjson, logoutput, markdown
from meshpact.contracts.review.changelog import Log
from meshpact.contracts.review.model import Review
from meshpact.contracts.review.touches import sentence
from meshpact.mesh.reader import closest


@dataclass(frozen=True)
class Outputs:
    """What is shown, and what is written to which files."""

    shown: str
    files: tuple[tuple[str, Path], ...]


def outputs(shown: str, files: Sequence[str], *, log: bool = False) -> Outputs:
    """The forms asked for, of a review or of a log; `files` are `FORM=FILE`. WrongUse for one that
    there is not."""
    forms = tuple(logoutput.WRITERS) if log else FORMS
    found: list[tuple[str, Path]] = []
    for entry in files:
        name, equals, file = entry.partition("=")
        if not equals or not file:
            raise WrongUse(f"--write {entry!r}: write it as {FORMS[0]}=FILE")
        found.append((_known(name, forms), Path(file)))
    return Outputs(_known(shown, forms), tuple(found))


def render(found: Review | Log, form: str) -> str:
    """The review, or the log, in one form."""
    if isinstance(found, Log):
        return logoutput.WRITERS[form](found)
    return _WRITERS[form](found)


def _known(form: str, forms: Sequence[str]) -> str:
    if form not in forms:
        remedy = closest(form, forms, f"There are: {', '.join(forms)}")
        raise WrongUse(f"there is no form {form!r}. {remedy}")
    return form


def _report(form: Format) -> Callable[[Review], str]:
    def write(review: Review) -> str:
        findings = tuple(replace(change.finding, who=sentence(change)) for change in review.changes)
        rules = {change.delta.rule: change.rule for change in review.changes}
        return report.write(Report("review", findings, rules, review.remarks), form)

    return write


def _text(review: Review) -> str:
    version = f"version: {review.semver.bump.value}\n" if review.semver is not None else ""
    return f"{_report(Format.TEXT)(review)}{version}{markdown.verdict(review)}\n"


_WRITERS: Final[Mapping[str, Callable[[Review], str]]] = {
    "markdown": markdown.write,
    "text": _text,
    "json": asjson.write,
    "github": _report(Format.GITHUB),
    "sarif": _report(Format.SARIF),
    "gitlab": _report(Format.GITLAB),
}
FORMS: Final = tuple(_WRITERS)
