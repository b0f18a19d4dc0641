"""Runs every attack against real servers: aio and sync, as they are by default and strict.

`run` is what the claim `hygiene` measures; the tests go through the same rows one by one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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

    with Workbench() as bench:
        bench.roles.set({bench.id_of(CALLER): frozenset({ROLE})})
        with bench.serving(kind, servicers, strict=strict) as port:
            yield Target(bench, kind, strict, port)
            for servicer in held:
                servicer.release.set()


def run() -> tuple[int, list[str]]:
    """(attacks made, what went wrong in them, one sentence a fault)."""
    modes = [(kind, strict) for kind in KINDS for strict in (False, True)]
    with ThreadPoolExecutor(len(modes)) as threads:
        results = list(threads.map(lambda mode: _run(*mode), modes))
    return sum(made for made, _ in results), [fault for _, found in results for fault in found]


def _run(kind: Kind, strict: bool) -> tuple[int, list[str]]:
    made, faults = 0, []
    with target(kind, strict=strict) as aim:
        for attack in attacks(strict=strict, kind=kind):
            made += 1
            faults += attack.run(aim)
    return made, faults
