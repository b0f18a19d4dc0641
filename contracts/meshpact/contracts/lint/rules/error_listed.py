"""MP151: every error is listed by a method."""

from __future__ import annotations

from meshpact.contracts.findings import Severity
from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.model import File


def _find(context: Context, file: File) -> Hits:
    for error in file.errors:
        if error.reason and error.full_name not in context.listed_errors:
            yield Hit(
                f"no method lists the error {error.reason}",
                f'add errors: "{error.reason}" to the policy of each method that may fail with it, '
                "or take it out",
                path=error.path,
                subject=error.full_name,
            )


RULE = LintRule(
    id="MP151",
    name="error-listed",
    summary="Every error is listed by some method.",
    why="an error that a method does not list does not leave the server: it is masked as INTERNAL",
    severity=Severity.WARNING,
    file=_find,
)
