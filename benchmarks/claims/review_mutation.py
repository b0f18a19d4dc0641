"""Generated edits of the reference contracts and their mesh.yaml: what `meshpact review` announces
against what calls become when the old and the new guard are run on them.

Access, tokens, sizes, rates, concurrency, rules of fields and of messages, the messages that
methods take, bindings, denials, modes, networks and issuers are edited, tightened and loosened.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from claims import Measurement
from review.mutations import judge, mutations

SEED: Final = 20111130
EDITS: Final = 360
EDITS_QUICK: Final = 27


def measure(quick: bool) -> Measurement:
    """Counts edits after which anything is announced otherwise than the guards decide."""
    wrong: list[str] = []
    kinds: Counter[str] = Counter()
    became: Counter[str] = Counter()
    faulty = untold = 0
    edits = EDITS_QUICK if quick else EDITS
    for edit in mutations(edits, SEED):
        verdict = judge(edit)
        kinds[edit.kind] += 1
        became.update(verdict.flips or {"nothing"})
        untold += verdict.untold
        faulty += bool(verdict.wrong)
        wrong += verdict.wrong
    detail: dict[str, object] = {
        "edits": edits,
        "edits_by_kind": dict(sorted(kinds.items())),
        "what_calls_became": dict(sorted(became.items())),
        "said_that_it_cannot_tell": untold,
        "wrong": wrong[:10],
    }
    if quick:
        detail["sample"] = f"{EDITS_QUICK} of {EDITS} edits"
    return Measurement(faulty, detail)
