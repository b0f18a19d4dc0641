"""Measures claims: one as a JSON object on the last line of stdout, or all into docs/evidence.md.

Usage: evidence.py [CLAIM] [--quick]. Ends with 0 when it measured (met or not), with 3 when it
could not, and with 2 for a name that is no claim. Everything but the JSON object goes to stderr.
"""

import argparse
import importlib
import json
import math
import os
import platform
import subprocess
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from claims import CLAIMS, Claim, Measurement, NotMeasured

MEASURED, WRONG_USE, NOT_MEASURED = 0, 2, 3
PAGE = Path(__file__).parent.parent / "docs" / "evidence.md"


def object_of(claim: Claim, measured: Measurement) -> dict[str, Any]:
    """The JSON object that a claim is printed as."""
    if not math.isfinite(measured.value):
        raise NotMeasured(f"the run gave {measured.value}, which is no measurement")
    return {
        "claim": claim.name,
        "value": measured.value,
        "unit": claim.unit,
        "goal": {"op": claim.op, "value": claim.goal},
        "met": claim.met(measured.value),
        "detail": dict(measured.detail),
    }


def own_stdout() -> TextIO:
    """The stdout of this process for us alone: whatever else writes there, writes to stderr."""
    ours = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return ours


def measure_one(claim: Claim, quick: bool, out: TextIO) -> int:
    """Runs the claim's module in this process."""
    try:
        measure: Callable[[bool], Measurement] = importlib.import_module(claim.module).measure
        line = json.dumps(object_of(claim, measure(quick)))
    except NotMeasured as error:
        print(f"{claim.name}: not measured: {error}", file=sys.stderr)
        return NOT_MEASURED
    except Exception:
        traceback.print_exc()
        print(f"{claim.name}: not measured: the run broke, as said above", file=sys.stderr)
        return NOT_MEASURED
    print(line, file=out, flush=True)
    return MEASURED


def measure_apart(claim: Claim, quick: bool) -> dict[str, Any] | None:
    """Runs a claim in a process of its own, so that none disturbs another; None: not measured."""
    argv = [sys.executable, __file__, claim.name, *(["--quick"] if quick else [])]
    print(f"measuring {claim.name}...", file=sys.stderr, flush=True)
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != MEASURED:
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def page(rows: list[tuple[Claim, dict[str, Any] | None]], quick: bool) -> str:
    """docs/evidence.md."""
    lines = [
        "# Evidence",
        "",
        "What the project claims in figures, and what `make evidence` measured. "
        "`make -s evidence CLAIM=name` measures one of them again and prints it as JSON.",
        "",
        f"Measured {datetime.now(UTC):%Y-%m-%d} with Python {platform.python_version()}, "
        f"grpcio {metadata.version('grpcio')}, protobuf {metadata.version('protobuf')}, "
        f"on {os.cpu_count()} processors ({platform.machine()})"
        + (", by smaller samples where the detail says so." if quick else "."),
        "",
        "| claim | what is measured | value | goal | met |",
        "|---|---|---|---|---|",
    ]
    for claim, found in rows:
        value = "not measured" if found is None else f"{found['value']:.4g} {claim.unit}"
        met = "-" if found is None else "yes" if found["met"] else "**no**"
        goal = f"{claim.op} {claim.goal:g}"
        lines.append(f"| `{claim.name}` | {claim.says} | {value} | {goal} | {met} |")
    lines += ["", "## Detail", ""]
    for claim, found in rows:
        if found is not None:
            detail = json.dumps(found["detail"], indent=2)
            lines += [f"### {claim.name}", "", "```json", detail, "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def measure_all(quick: bool) -> int:
    """Measures every claim and writes the page."""
    rows = [(claim, measure_apart(claim, quick)) for claim in CLAIMS]
    unfinished = PAGE.with_suffix(".md.new")
    unfinished.write_text(page(rows, quick), encoding="utf-8")
    unfinished.replace(PAGE)
    print(f"wrote {PAGE.relative_to(PAGE.parent.parent)}", file=sys.stderr)
    return MEASURED if all(found is not None for _, found in rows) else NOT_MEASURED


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures what the project claims in figures.")
    parser.add_argument(
        "claim", nargs="?", help="one claim; without it: all, into docs/evidence.md"
    )
    parser.add_argument("--quick", action="store_true", help="a smaller sample, under 50 s a claim")
    given = parser.parse_args()
    if given.claim is None:
        return measure_all(given.quick)
    claim = next((claim for claim in CLAIMS if claim.name == given.claim), None)
    if claim is None:
        names = ", ".join(claim.name for claim in CLAIMS)
        print(f"{given.claim} is no claim. The claims are: {names}", file=sys.stderr)
        return WRONG_USE
    return measure_one(claim, given.quick, own_stdout())


if __name__ == "__main__":
    sys.exit(main())
