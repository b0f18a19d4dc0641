"""The scenario of end users with a real OpenID provider, step by step, on both kinds of server."""

import tempfile
from pathlib import Path

from claims import Measurement, NotMeasured
from interop import oidcbuild, oidcscenario


def measure(quick: bool) -> Measurement:
    """Counts the steps that fail; the sample is all of them."""
    try:
        package = oidcbuild.found() or oidcbuild.install()
    except oidcbuild.InstallError as error:
        raise NotMeasured(str(error)) from error
    if package is None:
        raise NotMeasured(oidcbuild.MISSING)
    faults: list[str] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        oidcscenario.world(Path(folder), package) as world,
    ):
        for step in oidcscenario.STEPS:
            try:
                step(world)
            except Exception as error:
                faults.append(f"{step.__name__}: {type(error).__name__}: {error}")
    return Measurement(
        len(faults),
        {
            "sample": f"all {len(oidcscenario.STEPS)} steps, each on aio and sync",
            "provider": oidcbuild.version(),
            "steps": [step.__name__ for step in oidcscenario.STEPS],
            "faults": faults,
        },
    )
