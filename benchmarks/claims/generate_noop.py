"""`meshpact generate` with nothing changed: the reference contracts, Python's start included."""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from claims import Measurement, NotMeasured

REPOSITORY = Path(__file__).parents[2]
QUICK, WHOLE = 10, 40


def measure(quick: bool) -> Measurement:
    """The median of many runs in seconds, of a copy of the contracts and of what comes from them.

    The first runs, which compile, are shown beside it, and so is Python that does nothing.
    """
    runs = QUICK if quick else WHOLE
    with tempfile.TemporaryDirectory(prefix="meshpact-claim-") as name:
        folder = Path(name)
        shutil.copytree(REPOSITORY / "protos", folder / "protos")
        whole = _seconds(folder)
        _seconds(folder)  # what was copied a moment ago may have been doubted
        times = [_seconds(folder, "files are up to date") for _ in range(runs)]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        python = time.perf_counter() - began
    detail = {
        "sample": f"{runs} runs",
        "slowest": round(max(times), 3),
        "a whole run": round(whole, 3),
        "python alone": round(python, 3),
    }
    return Measurement(round(statistics.median(times), 4), detail)


def _seconds(folder: Path, said: str = "") -> float:
    command = [str(Path(sys.executable).with_name("meshpact")), "generate"]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0 or said not in done.stdout:
        raise NotMeasured(f"meshpact generate said: {done.stdout}{done.stderr}")
    return took
