"""How soon recommendations come to 50 callers at once, over the processes that `make run` starts.

Each of 50 users asks again as soon as it has its answer, up to 40 times a second; then 50 callers
ask for users whom the services have never seen (identity is asked on their behalf), each for
another one as soon as it has its answer. The worse p99 of both is the claim's. Beside them stand
new users that come at a pace, and calls made while the model is being trained.
"""

import os
from collections.abc import Mapping

from claims import Measurement
from recommending import CALLERS, NEW_TURN, System, at_once, one_each, run

SECONDS, QUICK_SECONDS = 20.0, 8.0
NEW, QUICK_NEW = 2000, 1000


def measure(quick: bool) -> Measurement:
    """Milliseconds within which 99 of 100 calls are answered."""
    seconds, new = (QUICK_SECONDS, QUICK_NEW) if quick else (SECONDS, NEW)

    async def measured(system: System) -> dict[str, object]:
        viewers = await system.viewers(CALLERS)
        training = await system.until_trained(viewers[0])
        for viewer in viewers:
            await system.watch(viewer)
        await at_once(viewers, system.recommended, 1.0)
        before = system.cpu_seconds()
        again = await at_once(viewers, system.recommended, seconds)
        cpu = _each(before, system.cpu_seconds(), again.calls)
        strangers = await system.viewers(2 * new)
        before = system.cpu_seconds()
        first = await one_each(strangers[:new], system.recommended)
        first_cpu = _each(before, system.cpu_seconds(), first.calls)
        paced = await one_each(strangers[new:], system.recommended, NEW_TURN)
        return {
            "again_and_again": again._asdict(),
            "never_seen_before": first._asdict(),
            f"never_seen_before_{CALLERS / NEW_TURN:g}_a_second": paced._asdict(),
            "while_training": training._asdict(),
            "cpu_us_per_call": cpu,
            "cpu_us_per_first_call": first_cpu,
            "p99": max(again.p99, first.p99),
        }

    detail = run(measured)
    p99 = detail.pop("p99")
    detail |= {"callers": CALLERS, "load": os.getloadavg()}
    if quick:
        detail["sample"] = f"{seconds:g} s instead of {SECONDS:g}, {new} new users instead of {NEW}"
    return Measurement(float(str(p99)), detail)


def _each(before: Mapping[str, float], after: Mapping[str, float], calls: int) -> dict[str, int]:
    """Microseconds of processor time that each process took for a call."""
    return {name: round(1e6 * (after[name] - before[name]) / calls) for name in after}
