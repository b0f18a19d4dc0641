"""A scripted server of either kind, started once for each module that asks for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from guard.scripted import Script, servicer
from guard.situations import KINDS, ROLE
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.rawwire import RawConnection


@dataclass
class Stage:
    """A running server and what its handlers do."""

    bench: Workbench
    kind: Kind
    port: int
    script: Script

    def connect(self, service: str = "caller") -> RawConnection:
        """A raw connection as a workload."""
        return self.bench.connect(self.port, service)


@pytest.fixture(scope="module")
def stages() -> Iterator[Callable[[Kind], Stage]]:
    """Servers by kind, each started when it is first asked for."""
    running: dict[Kind, Stage] = {}
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(Workbench())
        bench.roles.set({bench.id_of("caller"): frozenset({ROLE})})

        def at(kind: Kind) -> Stage:
            if kind not in running:
                script = Script()

                port = stack.enter_context(bench.serving(kind, lambda: [servicer(kind, script)]))
                running[kind] = Stage(bench, kind, port, script)
            return running[kind]

        yield at


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest, stages: Callable[[Kind], Stage]) -> Iterator[Stage]:
    """A server of each kind in turn, its script blank."""
    found = stages(request.param)
    found.script.act = lambda _key: None
    found.script.respond = lambda response: response
    found.script.entered.clear()
    found.script.go.clear()
    yield found
    found.script.go.set()
