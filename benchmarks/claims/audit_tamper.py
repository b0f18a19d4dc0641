"""Everything that can be done to an audit trail short of rewriting it whole, and whether it shows.

A trail rewritten whole, head and all, is held against an anchor from before.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from audit.trails import TAMPERINGS, Tampering, files, rechained, write_head, written
from claims import Measurement
from meshpact.interceptors.auditlayout import Trail
from meshpact.interceptors.auditverify import Anchor, verify

SEED: Final = 20111130
TRAILS: Final = 200
TRAILS_QUICK: Final = 25
REWRITTEN: Final = "all rewritten with the head, against an anchor"


def measure(quick: bool) -> Measurement:
    """Counts tampered trails that verify accepted, and sound ones that it did not."""
    chance = random.Random(SEED)
    tampered: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    refused = 0
    kinds: dict[str, Tampering] = {**TAMPERINGS, REWRITTEN: _rewrite}
    for _ in range(TRAILS_QUICK if quick else TRAILS):
        for kind, tamper in kinds.items():
            with TemporaryDirectory() as name:
                folder = Path(name)
                lines, in_file = chance.randrange(25, 60), chance.randrange(2, 12)
                trail = written(folder, lines, in_file=in_file)
                (before,) = verify([folder], patience=0)
                refused += not before.sound
                contents = _contents(folder)
                tamper(trail, chance)
                if _contents(folder) == contents:
                    continue  # it changed something into itself
                tampered[kind] += 1
                accepted[kind] += _sound(folder, before.anchor if kind == REWRITTEN else None)
    return Measurement(
        accepted.total() + refused,
        {
            "sample": f"{tampered.total()} tampered trails of {len(kinds)} kinds"
            + (f" (all: about {len(kinds) * TRAILS})" if quick else ""),
            "seed": SEED,
            "tampered": dict(tampered),
            "accepted": {kind: count for kind, count in accepted.items() if count},
            "sound trails refused": refused,
        },
    )


def _sound(folder: Path, anchor: Anchor | None) -> bool:
    (report,) = verify([folder], anchor, patience=0)
    return report.sound


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _rewrite(trail: Trail, chance: random.Random) -> None:
    paths = files(trail)
    everything = [path.read_bytes().splitlines(keepends=True) for path in paths]
    lines = chance.choice(everything)
    place = chance.randrange(len(lines))
    fields: dict[str, object] = msgspec.json.decode(lines[place])
    fields["time"] = "1999-01-01T00:00:00.000Z"
    lines[place] = msgspec.json.encode(fields) + b"\n"
    last = rechained(everything)
    for path, each in zip(paths, everything, strict=True):
        path.write_bytes(b"".join(each))
    head = trail.read_head()
    assert head is not None
    write_head(trail, msgspec.structs.replace(head, hash=last))
