"""Runs every attack against real servers: aio and sync, as they are by default and strict.

`run` is what the claim `hygiene` measures; the tests go through the same rows one by one.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import demoservice
from meshpact.testing.hosting import Kind, Workbench
from wire.attacks import attacks
from wire.target import CALLER, ROLE, Target

KINDS: tuple[Kind, ...] = ("aio", "sync")


@contextlib.contextmanager
def target(kind: Kind, *, strict: bool) -> Iterator[Target]:
    """A server of the demo contract to attack."""
    held: list[demoservice.DemoSync] = []

    def servicers() -> list[demoservice.Demo] | list[demoservice.DemoSync]:
        if kind == "aio":
            return [demoservice.Demo()]
        held.append(demoservice.DemoSync())
        return held

    logs = logging.getLogger("meshpact")
    before = logs.level
    logs.setLevel(logging.CRITICAL)
    with Workbench() as bench:
        bench.roles.workloads = {bench.id_of(CALLER): frozenset({ROLE})}
        try:
            with bench.serving(kind, servicers, strict=strict) as port:
                yield Target(bench, kind, strict, port)
                for servicer in held:
                    servicer.release.set()
        finally:
            logs.setLevel(before)


def run() -> tuple[int, list[str]]:
    """(attacks made, what went wrong in them, one sentence a fault)."""
    made, faults = 0, []
    for kind in KINDS:
        for strict in (False, True):
            with target(kind, strict=strict) as aim:
                for attack in attacks(strict=strict, kind=kind):
                    made += 1
                    faults += attack.run(aim)
    return made, faults
