"""The main job, 20 s of it: `meshpact up mesh.yaml --for 20 --json`, as a person runs it.

It begins with no state, so that no earlier run helps or hinders it.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from claims import Measurement, NotMeasured

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 20
FEWEST_ORDERS: Final = 200


def measure(quick: bool) -> Measurement:
    """Counts what went wrong; the sample is the whole of it, quick or not."""
    meshpact = str(Path(sys.executable).parent / "meshpact")
    with tempfile.TemporaryDirectory(prefix="meshpact-claim-") as state:
        done = subprocess.run(
            [meshpact, "up", "mesh.yaml", "--for", str(SECONDS), "--json", "--state", state],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=SECONDS + 60,
            check=False,
        )
    try:
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise NotMeasured(
            f"`meshpact up` ended with {done.returncode} and no report; its own words stand above"
        ) from None
    wrong = report["errors_unexpected"]
    wrong += not report["ledger_balanced"]
    wrong += report["orders_placed"] < FEWEST_ORDERS
    return Measurement(wrong, {"sample": f"all of {SECONDS} s", "report": report})
