"""Generated edits: what the review announces is what the guard decides anew."""

from __future__ import annotations

import pytest

from review.mutations import KINDS, judge, mutations

SEED = 20111130
EACH = 4
"""Edits of each kind; the claim `review-mutation` tries many more."""


@pytest.mark.parametrize("kind", sorted(set(KINDS)))
def test_what_is_announced_is_what_both_guards_decide(kind: str) -> None:
    wrong = [each for edit in mutations(EACH, SEED, [kind]) for each in judge(edit).wrong]
    assert not wrong, "\n".join(wrong)
