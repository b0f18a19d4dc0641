"""Whatever connections break, a watcher ends with the totals that SQL tells."""

from __future__ import annotations

from pathlib import Path

from marketing.exactness import real_events, run


async def test_watchers_who_come_and_go_end_with_what_sql_tells(tmp_path: Path, url: str) -> None:
    outcome = await run(tmp_path, url, real_events(150, seed=1), watchers=3, seed=7)
    assert outcome.differing == []
    assert outcome.compared > 1000
    assert outcome.reconnects > 3
    assert outcome.restarts > 1
