"""Generated edits of the reference contracts: what `meshpact review` announces against what calls
become when the old and the new guard are run.

Roles, end users, scopes, open doors, sizes, rates and the field rules of requests are edited.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from claims import Measurement
from review.mutations import announced, flipped, mutations

SEED: Final = 20111130
EDITS: Final = 240
EDITS_QUICK: Final = 40


def measure(quick: bool) -> Measurement:
    """Counts edits after which any method is announced otherwise than the guards decide."""
    wrong: list[str] = []
    kinds: Counter[str] = Counter()
    edits = EDITS_QUICK if quick else EDITS
    for edit in mutations(edits, SEED):
        said, real = announced(edit), flipped(edit)
        kinds.update({f"{kind}: {becomes}" for _, kind, becomes in real} or {"nothing"})
        if said != real:
            wrong.append(f"{edit.text}: announced {sorted(said - real)}, not {sorted(real - said)}")
    detail: dict[str, object] = {
        "edits": edits,
        "what_calls_became": dict(sorted(kinds.items())),
        "not_edited": ["audiences", "bound tokens", "networks"],
        "wrong": wrong[:10],
    }
    if quick:
        detail["sample"] = f"{EDITS_QUICK} of {EDITS} edits"
    return Measurement(len(wrong), detail)
