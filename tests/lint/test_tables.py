"""Each rule decides every case of its table as the table says, at the line and the column."""

from __future__ import annotations

import pytest

from lint.cases import Case, Decided, decide
from lint.tables import tables

CASES = [
    (rule, number, case) for rule, cases in tables().items() for number, case in enumerate(cases)
]


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Decided]]:
    """All cases of all rules by rule and sentence, linted at once."""
    found = decide(tmp_path_factory.mktemp("corpus"), tables())
    return {rule: {each.case.says: each for each in entries} for rule, entries in found.items()}


@pytest.mark.parametrize(
    ("rule", "case"),
    [pytest.param(rule, case, id=f"{rule}: {case.says}") for rule, _, case in CASES],
)
def test_the_rule_decides_as_its_table_says(
    rule: str, case: Case, decided: dict[str, dict[str, Decided]]
) -> None:
    one = decided[rule][case.says]
    assert one.found == one.expected


@pytest.mark.parametrize("rule", tables())
def test_a_table_has_cases_that_are_found_and_cases_that_are_not(rule: str) -> None:
    cases = tables()[rule]
    assert any(case.finds for case in cases)
    assert any(not case.finds for case in cases)
    assert len({case.says for case in cases}) == len(cases)
