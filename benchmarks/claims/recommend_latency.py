"""How soon recommendations come to 50 callers at once, over the processes that `make run` starts.

Each of 50 users asks again as soon as it has its answer. Beside it stand the calls of users whom
the services have never seen (identity and the catalog are asked on their behalf), and calls made
while the model is being trained.
"""

from claims import Measurement
from recommending import CALLERS, Latencies, System, at_once, one_each, run

SECONDS, QUICK_SECONDS = 20.0, 8.0
NEW, QUICK_NEW = 1000, 300


def measure(quick: bool) -> Measurement:
    """Milliseconds within which 99 of 100 calls are answered."""
    seconds, new = (QUICK_SECONDS, QUICK_NEW) if quick else (SECONDS, NEW)

    async def measured(system: System) -> dict[str, Latencies]:
        viewers = await system.viewers(CALLERS)
        training = await system.until_trained(viewers[0])
        for viewer in viewers:
            await system.watch(viewer)
        await at_once(viewers, system.listed, 1.0)
        again = await at_once(viewers, system.listed, seconds)
        strangers = await system.viewers(new)
        first = await one_each(strangers, system.listed)
        return {"again_and_again": again, "never_seen_before": first, "while_training": training}

    found = run(measured)
    detail: dict[str, object] = {name: each._asdict() for name, each in found.items()}
    detail["callers"] = CALLERS
    if quick:
        detail["sample"] = f"{seconds:g} s instead of {SECONDS:g}, {new} new users instead of {NEW}"
    return Measurement(found["again_and_again"].p99, detail)
