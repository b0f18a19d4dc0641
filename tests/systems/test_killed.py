"""Processes of identity, streaming, sales and billing are killed while people use them."""

from __future__ import annotations

from pathlib import Path

from systems.killing import VICTIMS, run


async def test_all_are_killed_at_once_and_refunds_totals_and_histories_are_as_people_were_told(
    tmp_path: Path,
) -> None:
    outcome = await run(tmp_path, [VICTIMS])
    assert outcome.faults == []
    assert outcome.told > 0
    assert min(outcome.approvals, outcome.played) >= 2
