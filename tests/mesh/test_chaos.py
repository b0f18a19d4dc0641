"""The shop while its services are killed: every order ends whole, every stock code balances."""

from __future__ import annotations

import pytest

from shop import chaos


@pytest.mark.timeout(240)
def test_the_books_balance_after_services_were_killed_at_random() -> None:
    outcome = chaos.run(5.0, seed=2)
    assert sum(outcome.kills.values()) >= 2
    assert outcome.report["orders_placed"] > 0
    assert outcome.report["errors"] == {}
    assert outcome.report["ledger_balanced"] is True
    assert outcome.faults == 0
    assert "faults in the books" in chaos.table(outcome)
