"""Generated edits: what the reviewer announces is what the guard decides anew."""

from __future__ import annotations

from review.mutations import announced, flipped, mutations

SEED = 20111130


def test_what_is_announced_is_what_both_guards_decide() -> None:
    wrong = [
        f"{each.text}: announced {said - real}, not announced {real - said}"
        for each in mutations(24, SEED)
        if (said := announced(each)) != (real := flipped(each))
    ]
    assert not wrong, "\n".join(wrong)
