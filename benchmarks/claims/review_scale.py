"""What lint and review of 5,000 contracts cost, against buf alone on the same two images.

The value is the time of `meshpact lint` and `meshpact review` together by that of `buf lint` and
`buf breaking` together: the worse of wall time and CPU time, and of two reviews, one in which every
file changed and one in which a file of 20 did. Meshpact reads and compiles sources, in a git
repository; buf gets both images ready-made. All commands run in turn; medians are divided.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import corpus
from claims import Measurement, NotMeasured
from meshpact.contracts import buf
from meshpact.contracts.image import compile_image
from proctree import Cost, run

ROUNDS: Final = 3
QUICK: Final = 2
"""A quick run takes half of the corpus, once, and the dearer review alone."""
FEW: Final = 20
MEMORY: Final = 1.5
"""GiB that lint and review may take at most."""
_LINT: Final = ("lint", "buf lint")
EDITS: Final = (
    ('.reader" }', '.viewer" }'),
    ("max: { seconds: 10 }", "max: { seconds: 8 }"),
    ("  int64 ", "  int32 "),
    ("max_len = ", "max_len = 1"),
)
"""Made in turn, one a file: who may call, how long it may take, a type, a rule."""


def measure(quick: bool) -> Measurement:
    """The worst ratio; `detail` has each command's seconds and memory, and its own ratio."""
    part = QUICK if quick else 1
    files, fields, rounds = corpus.FILES // part, corpus.FIELDS // part, 1 if quick else ROUNDS
    changed = ("all",) if quick else ("all", "few")
    costs: dict[str, list[Cost]] = {}
    with TemporaryDirectory(prefix="meshpact-") as name:
        tops = {side: _repository(Path(name, side), files, fields, side) for side in changed}
        commands = _commands(tops, _images(Path(name), tops))
        for _ in range(rounds):
            for what, (command, cwd) in commands.items():
                try:
                    costs.setdefault(what, []).append(run(command, cwd, (0, 1, 100)))
                except RuntimeError as error:
                    raise NotMeasured(str(error)) from None
    wall = {what: statistics.median(each.wall for each in runs) for what, runs in costs.items()}
    cpu = {what: statistics.median(each.cpu for each in runs) for what, runs in costs.items()}
    peak = {what: max(each.peak for each in runs) / 2**30 for what, runs in costs.items()}
    together = {
        f"{kind}, {side} changed": round(
            (seconds["lint"] + seconds[f"review {side}"])
            / (seconds["buf lint"] + seconds[f"buf breaking {side}"]),
            3,
        )
        for kind, seconds in (("wall", wall), ("cpu", cpu))
        for side in changed
    }
    largest = max(gib for what, gib in peak.items() if not what.startswith("buf"))
    return Measurement(
        max(together.values()),
        {
            "sample": f"{files:,} files, {fields:,} fields, {rounds} rounds"
            + (f" of {ROUNDS}, half of the corpus, every file changed" if quick else ""),
            "together": together,
            "alone": {"wall": _alone(wall), "cpu": _alone(cpu)},
            "wall_s": _rounded(wall),
            "cpu_s": _rounded(cpu),
            "peak_gib": _rounded(peak),
            "peak_allowed_gib": MEMORY,
            "peak_kept": largest <= MEMORY,
        },
    )


def _alone(seconds: Mapping[str, float]) -> dict[str, float]:
    """Each command by the part of buf that it runs."""
    return {
        what: round(taken / seconds[what.replace("review", "buf breaking").replace(*_LINT)], 3)
        for what, taken in seconds.items()
        if not what.startswith("buf")
    }


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {what: round(figure, 2) for what, figure in figures.items()}


def _commands(
    tops: Mapping[str, Path], images: Mapping[str, Path]
) -> dict[str, tuple[list[str], Path]]:
    """Each command with the folder that it runs in."""
    folder, new, top = images["old"].parent, images["all"], tops["all"]
    config = json.dumps({"version": "v2", "breaking": {"use": ["FILE"]}})
    meshpact = [sys.executable, "-m", "meshpact.cli"]
    lint = [buf.executable(), "lint", str(new), "--config", json.dumps(buf.LINT)]
    found = {"buf lint": (lint, folder), "lint": ([*meshpact, "lint"], top)}
    for side, top in tops.items():
        against = ["--against", str(images["old"]), "--config", config, "--exclude-imports"]
        breaking = [buf.executable(), "breaking", str(images[side]), *against]
        found[f"buf breaking {side}"] = breaking, folder
        found[f"review {side}"] = [*meshpact, "review", "--against", "HEAD"], top
    return found


def _repository(top: Path, files: int, fields: int, side: str) -> Path:
    """A repository that holds the corpus, and an edit of one file in 20 or of each."""
    protos = top / "protos"
    corpus.write(protos, files, fields)
    for arguments in (
        ("init", "-q"),
        ("add", "-A"),
        ("-c", "user.name=A", "-c", "user.email=a@acme.example", "commit", "-q", "-m", "Begin"),
    ):
        subprocess.run(["git", *arguments], cwd=top, check=True, capture_output=True)
    for number, path in enumerate(sorted(protos.rglob("*.proto"))[:: FEW if side == "few" else 1]):
        path.write_text(path.read_text().replace(*EDITS[number % len(EDITS)], 1))
    return top


def _images(folder: Path, sides: Mapping[str, Path]) -> dict[str, Path]:
    old = folder / "committed"
    old.mkdir()
    done = subprocess.run(
        ["git", "archive", "HEAD"], cwd=sides["all"], check=True, capture_output=True
    )
    subprocess.run(["tar", "-x", "-C", str(old)], input=done.stdout, check=True)
    found: dict[str, Path] = {}
    for side, top in {"old": old, **sides}.items():
        found[side] = folder / f"{side}.binpb"
        found[side].write_bytes(compile_image([top / "protos"]).buf_bytes)
    return found
