"""The process that calls a mesh by itself while `meshpact up` runs: the driver of mesh.yaml.

The driver is `async def run(context, until)`: it works until `until` is set, then finishes what it
began, and tells its figures by `context.report` all along.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence

from meshpact.certs.expiry import ExpiryWatch
from meshpact.servers.child import settled
from meshpact.servers.context import ServiceContext
from meshpact.servers.lifeline import Lifeline
from meshpact.servers.process import ProcessTask, StartError, find, parsed, run, stop_event


async def drive(task: ProcessTask, lifeline: Lifeline) -> None:
    """Run the driver to its end. StartError when mesh.yaml names none or no callable."""
    with stop_event(lifeline) as until:
        config = task.config()
        place = f"{task.mesh}: driver.run"
        if config.driver is None:
            raise StartError(f"{place} is missing: name what calls the mesh: module:callable.")
        function = find(config.driver.run, task.root, place)
        context = ServiceContext(
            config=config,
            service=task.service,
            state=task.state,
            root=task.root,
            addresses=task.addresses(config),
            report=lambda figures: lifeline.report("figures", **figures),
        )
        identity = await asyncio.to_thread(context.identity_of, task.service)
        settled()
        async with contextlib.aclosing(context):
            with contextlib.closing(ExpiryWatch(identity)) as watch:
                watch.start()
                context.ready()
                made = function(context, until)
                if not isinstance(made, Awaitable):
                    raise StartError(f"{place}: {config.driver.run} is no coroutine function.")
                await made


def main(argv: Sequence[str], lifeline: Lifeline) -> int:
    """A process that the supervisor starts."""
    return run(drive(parsed("meshpact.servers.driving", argv), lifeline), lifeline)
