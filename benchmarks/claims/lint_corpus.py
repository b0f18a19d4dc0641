"""Every case of every lint rule's table, in one run: what is decided otherwise than it says."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from claims import Measurement
from lint.cases import decide
from lint.tables import tables


def measure(quick: bool) -> Measurement:
    """Counts the cases decided otherwise; a quick run takes them all, too."""
    with TemporaryDirectory(prefix="meshpact-") as folder:
        decided = decide(Path(folder), tables())
    wrong = [str(case) for cases in decided.values() for case in cases if not case.right]
    return Measurement(
        len(wrong),
        {
            "sample": f"all {sum(map(len, decided.values()))} cases",
            "cases": {rule: len(cases) for rule, cases in decided.items()},
            "findings expected": sum(
                len(case.expected) for cases in decided.values() for case in cases
            ),
            "decided otherwise": wrong,
        },
    )
