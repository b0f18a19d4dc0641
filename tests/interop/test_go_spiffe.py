"""go-spiffe, as its authors made it, with identities from the Workload API of `meshpact up`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interop import gopeer, spiffescenario
from interop.spiffescenario import STEPS, Scenario, words


@pytest.fixture(scope="module")
def scenario() -> Iterator[Scenario]:
    peer: Path = gopeer.found() or gopeer.build() or pytest.skip(gopeer.MISSING)
    with spiffescenario.running(peer) as running:
        yield running


@pytest.mark.parametrize("step", STEPS, ids=words)
def test_workloads_in_go_and_python_know_each_other(
    scenario: Scenario, step: Callable[[Scenario], None]
) -> None:
    step(scenario)
