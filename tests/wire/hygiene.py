"""Runs every attack against real servers: aio and sync, as they are by default and strict.

`run` is what the claim `hygiene` measures; the tests go through the same rows one by one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import demoservice
from meshpact.testing.hosting import Kind, Workbench
from wire.attacks import attacks
from wire.target import CALLER, ROLE, SHORT, Attack, Target

ATTACKERS = 4
"""Attacks on one server at once: most of them wait."""
KINDS: tuple[Kind, ...] = ("aio", "sync")


@contextlib.contextmanager
def target(kind: Kind, *, strict: bool) -> Generator[Target]:
    """A server of the demo contract to attack."""
    held: list[demoservice.DemoSync] = []

    def servicers() -> list[demoservice.Demo] | list[demoservice.DemoSync]:
        if kind == "aio":
            return [demoservice.Demo()]
        held.append(demoservice.DemoSync())
        return held

    with Workbench() as bench:
        bench.roles.set({bench.id_of(CALLER): frozenset({ROLE})})
        with bench.serving(kind, servicers, strict=strict, overlay=SHORT) as port:
            yield Target(bench, kind, strict, port)
            for servicer in held:
                servicer.release.set()


def run() -> tuple[int, list[str]]:
    """(attacks made, what went wrong in them, one sentence a fault)."""
    found = outcomes()
    return len(found), [fault for faults in found.values() for fault in faults]


def outcomes() -> dict[tuple[Kind, bool, str], list[str]]:
    """What went wrong by kind, strictness and name of the attack; the four servers at once."""
    modes = [(kind, strict) for kind in KINDS for strict in (False, True)]
    with ThreadPoolExecutor(len(modes)) as threads:
        parts = threads.map(_outcomes, modes)
        return {key: faults for part in parts for key, faults in part.items()}


def _outcomes(mode: tuple[Kind, bool]) -> dict[tuple[Kind, bool, str], list[str]]:
    kind, strict = mode
    made = list(attacks(strict=strict, kind=kind))
    with target(kind, strict=strict) as aim, ThreadPoolExecutor(ATTACKERS) as threads:

        def run_one(attack: Attack) -> list[str]:
            return attack.run(aim)

        found = threads.map(run_one, made)
        return {
            (kind, strict, attack.name): faults for attack, faults in zip(made, found, strict=True)
        }
