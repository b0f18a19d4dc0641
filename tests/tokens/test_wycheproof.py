"""The signature layer judges Project Wycheproof's vectors as a careful verifier does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tokens.wycheproof import REFUSED, SAME, vectors

ALL = {vector.number: vector for vector in vectors()}


def test_all_vectors_are_there() -> None:
    assert Counter(vector.valid for vector in ALL.values()) == {False: 355, True: 46}
    assert all(ALL[number].valid for number in REFUSED)


def test_every_invalid_signature_is_refused_but_two_that_are_a_valid_one_byte_for_byte() -> None:
    assert {v.number for v in ALL.values() if not v.valid and v.accepted()} == set(SAME)
    for called_invalid, called_valid in SAME.items():
        assert ALL[called_invalid].token == ALL[called_valid].token
        assert ALL[called_invalid].key == ALL[called_valid].key
        assert ALL[called_valid].valid


def test_every_valid_signature_is_accepted_but_those_that_a_careful_verifier_refuses() -> None:
    refused = {vector.number for vector in ALL.values() if vector.valid and not vector.accepted()}
    assert refused == set(REFUSED)


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("padding", ["=", "==", "A", "B", " ", "\n", "."])
def test_a_token_with_anything_added_to_a_part_is_refused(part: int, padding: str) -> None:
    valid = ALL[357]
    parts = valid.token.split(".")
    parts[part] += padding
    assert not replace(valid, token=".".join(parts)).accepted()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (346, "key is not for its algorithm|algorithm is not allowed"),
        (347, "algorithm is not allowed|key"),
        (372, "not a signed JWT"),
        (373, "not a signed JWT"),
        (353, "key is not for its algorithm"),
        (355, "key is not for its algorithm"),
    ],
)
def test_a_refusal_says_why(number: int, words: str) -> None:
    vector = ALL[number]
    with pytest.raises(AssertionError, match=words):
        assert not vector.fault, vector.fault
