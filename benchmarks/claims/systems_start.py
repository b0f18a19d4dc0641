"""All five systems from nothing to ready, on this machine."""

from pathlib import Path
from tempfile import TemporaryDirectory

from claims import Measurement
from systems.running import all_systems, memory


def measure(quick: bool) -> Measurement:
    """Seconds until the last service is ready: the median of first starts, without any state."""
    found: list[float] = []
    taken: dict[str, float] = {}
    for _ in range(1 if quick else 3):
        with TemporaryDirectory() as folder, all_systems(Path(folder)) as (mesh, seconds):
            found.append(seconds)
            taken = memory(mesh)
            mesh.end()
    found.sort()
    return Measurement(
        found[len(found) // 2],
        {
            "sample": f"{len(found)} first starts, keys and databases made anew",
            "seconds": found,
            "processes": len(taken),
            "memory_mib": round(sum(taken.values())),
            "memory_by_process_mib": taken,
        },
    )
