"""How long `meshpact review` takes for a change of one file of the reference contracts: the whole
command, in a process of its own, in a git repository."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from claims import Measurement, NotMeasured
from meshpact.contracts.buf import breaking
from meshpact.contracts.image import compile_image

ROOT: Final = Path(__file__).resolve().parents[2]
CONTRACT: Final = "protos/acme/retail/inventory/v1/inventory.proto"
BEFORE, AFTER = 'access: { roles: "inventory.writer" }', 'access: { roles: "inventory.reader" }'
RUNS: Final = 15
RUNS_QUICK: Final = 7


def measure(quick: bool) -> Measurement:
    """The median, in seconds; `detail` has what buf and protoc alone take of it."""
    runs = RUNS_QUICK if quick else RUNS
    with TemporaryDirectory() as name:
        top = Path(name)
        shutil.copytree(ROOT / "protos", top / "protos")
        shutil.copy(ROOT / "mesh.yaml", top)
        for arguments in (
            ("init", "-q"),
            ("add", "-A"),
            ("-c", "user.name=A", "-c", "user.email=a@acme.example", "commit", "-q", "-m", "Begin"),
        ):
            subprocess.run(["git", *arguments], cwd=top, check=True, capture_output=True)
        old = compile_image([top / "protos"])
        contract = top / CONTRACT
        contract.write_text(contract.read_text().replace(BEFORE, AFTER))
        _review(top)  # once unmeasured, so that files are in memory
        whole = [_review(top) for _ in range(runs)]
        compiling = [_timed(lambda: compile_image([top / "protos"])) for _ in range(runs)]
        new = compile_image([top / "protos"])
        comparing = [_timed(lambda: breaking(new, old)) for _ in range(runs)]
    detail: dict[str, object] = {
        "runs": runs,
        "range_s": [round(min(whole), 3), round(max(whole), 3)],
        "buf_breaking_alone_s": round(statistics.median(comparing), 3),
        "one_side_compiled_alone_s": round(statistics.median(compiling), 3),
    }
    if quick:
        detail["sample"] = f"{RUNS_QUICK} of {RUNS} runs"
    return Measurement(round(statistics.median(whole), 3), detail)


def _review(top: Path) -> float:
    command = [
        *(sys.executable, "-m", "meshpact.cli", "review"),
        *("--against", "HEAD", "--mesh", "mesh.yaml"),
    ]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=top, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - started
    if done.returncode != 1 or "`InventoryService" not in done.stdout:
        raise NotMeasured(f"the review did not find the change: {done.stderr or done.stdout}")
    return taken


def _timed(work: object) -> float:
    assert callable(work), "what is timed is called"
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
