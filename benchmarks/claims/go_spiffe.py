"""Workloads in Go with go-spiffe, in a mesh of `meshpact up`, through new leaves and a new CA.

The steps are those of `make interop`.
"""

import traceback

from claims import Measurement, NotMeasured
from interop import gopeer, spiffescenario


def measure(quick: bool) -> Measurement:
    """Counts the steps that failed; the sample is all of them, quick or not."""
    try:
        peer = gopeer.found() or gopeer.build()
    except gopeer.BuildError as error:
        raise NotMeasured(str(error)) from None
    if peer is None:
        raise NotMeasured(gopeer.MISSING)
    failed: list[str] = []
    with spiffescenario.running(peer) as scenario:
        for step in spiffescenario.STEPS:
            try:
                step(scenario)
            except Exception:
                traceback.print_exc()
                failed.append(spiffescenario.words(step))
    steps = len(spiffescenario.STEPS)
    return Measurement(len(failed), {"sample": f"all of {steps} steps", "failed": failed})
