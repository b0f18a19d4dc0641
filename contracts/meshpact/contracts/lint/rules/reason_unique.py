"""MP152: a reason stands once in its domain (AIP-193)."""

from __future__ import annotations

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.model import File


def _find(context: Context, file: File) -> Hits:
    for error in file.errors:
        same = context.errors_by_reason[error.domain, error.reason]
        if error.reason and error.domain and len(same) > 1:
            other = same[0] if same[0].full_name != error.full_name else same[1]
            yield Hit(
                f"{other.full_name} has the reason {error.reason} in the domain "
                f"{error.domain}, too",
                "give each enum of errors a domain of its own, or rename one of them",
                path=error.path,
                subject=error.full_name,
            )


RULE = LintRule(
    id="MP152",
    name="reason-unique",
    summary="A reason stands once in its domain (AIP-193).",
    why="domain and reason are what a caller tells errors apart by, and they are alike on the wire",
    file=_find,
)
