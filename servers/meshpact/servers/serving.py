"""One service of a mesh in one process: what `meshpact serve` does, and `meshpact up` for each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final, cast

from prometheus_client import CollectorRegistry

from meshpact.interceptors.assemble import guard_for
from meshpact.interceptors.metrics import METRIC
from meshpact.interceptors.policy import Access
from meshpact.interceptors.spec import ServiceSpec
from meshpact.mesh.bindings import Reloader
from meshpact.mesh.config import MeshConfig
from meshpact.mesh.methodcheck import unknown_methods
from meshpact.mesh.overlay import load as load_overlay
from meshpact.servers import logs, loop
from meshpact.servers.aio import Server
from meshpact.servers.child import settled
from meshpact.servers.context import ServiceContext
from meshpact.servers.contracts import write_contracts
from meshpact.servers.drain import Drain
from meshpact.servers.health import NOT_SERVING, SERVING, Health
from meshpact.servers.lifeline import Lifeline
from meshpact.servers.metricspage import MetricsPage
from meshpact.servers.mount import Servicer
from meshpact.servers.options import Limits
from meshpact.servers.overlay import BUILT_IN, Overlay, overlaid
from meshpact.servers.process import (
    ProcessTask,
    StartError,
    announce,
    find,
    parsed,
    run,
    stop_event,
)

CALLS_PERIOD: Final = 1.0
"""Seconds between two counts of calls that the supervisor is told."""


async def serve(task: ProcessTask, lifeline: Lifeline) -> None:
    """Serve until SIGTERM, SIGINT or the loss of the supervisor, then drain.

    Raises StartError, and the errors of mesh.yaml, identities and policies, when it cannot start.
    """
    with stop_event(lifeline) as stop:
        config = task.config()
        settings = config.services[task.service]
        place = f"{task.mesh}: services.{task.service}.factory"
        if not settings.factory:
            raise StartError(
                f"{place} is missing: this workload only calls. Name what makes its servicers: "
                "module:callable.",
                exit_code=2,
            )
        create = find(settings.factory, task.root, place)
        context = ServiceContext(
            config=config,
            service=task.service,
            state=task.state,
            root=task.root,
            addresses=task.addresses(config),
            report=lambda figures: lifeline.report("figures", **figures),
        )
        identity = await asyncio.to_thread(context.identity_of, task.service)
        reloader = Reloader(task.mesh)
        assembled = guard_for(
            config,
            task.service,
            identity=identity,
            bindings=reloader,
            audit_path=task.state.audit / f"{task.service}.jsonl",
        )
        overlay = load_overlay(config.overlay) if config.overlay else None
        server = Server(
            identity=identity,
            guard=assembled.guard,
            address=task.address or settings.address,
            health_address=task.health_address or "127.0.0.1:0",
            overlay=overlay,
            limits=_limits(config),
            drain=Drain(grace=config.limits.drain),
        )
        server.expiry.subscribe(
            lambda found: lifeline.report("identity", stage=found.stage.value, words=found.words())
        )
        async with contextlib.aclosing(context):
            servicers = await _made(create, context, place)
            for servicer in servicers:
                server.add(servicer)
            specs = [servicer.SPEC for servicer in servicers]
            methods = {*BUILT_IN, *(each.path[1:] for spec in specs for each in spec.methods)}
            reloader.require(partial(unknown_methods, task.mesh, known=methods, whole=False))
            metrics = MetricsPage(assembled.registry, config.telemetry.metrics_address)
            await server.start()
            context.tell_health(
                lambda name, good: server.statuses.set(name, SERVING if good else NOT_SERVING)
            )
            try:
                await asyncio.to_thread(
                    write_contracts, task.state, task.service, [*specs, Health.SPEC]
                )
                facts = {
                    "service": task.service,
                    "address": server.address,
                    "health": server.health_address,
                    "metrics": metrics.address,
                    "web": context.web_url if context.web_address else "",
                    "told": context.told,
                    "serves": [spec.name for spec in specs],
                    "methods": sorted(methods),
                    "roles": sorted(_roles(specs, overlay or {})),
                }
                settled()
                context.ready()
                announce(facts, lifeline)
                watchers = [
                    asyncio.create_task(reloader.watch()),
                    asyncio.create_task(_count(assembled.registry, lifeline)),
                ]
                await stop.wait()
                for watcher in watchers:
                    watcher.cancel()
                await asyncio.gather(*watchers, return_exceptions=True)
            finally:
                await server.stop()
                metrics.close()
                assembled.close()


async def _made(
    create: Callable[..., object], context: ServiceContext, place: str
) -> list[Servicer]:
    made = create(context)
    if isinstance(made, Awaitable):
        made = await cast("Awaitable[object]", made)
    if not isinstance(made, list | tuple):
        raise StartError(f"{place} gave {type(made).__name__}; allowed: a list of servicers.")
    servicers: list[Servicer] = []
    for servicer in cast("Sequence[object]", made):
        if not isinstance(getattr(servicer, "SPEC", None), ServiceSpec):
            raise StartError(
                f"{place} gave {type(servicer).__name__}, which is no servicer: "
                "derive it from a generated base."
            )
        servicers.append(cast("Servicer", servicer))
    return servicers


def _roles(specs: Iterable[ServiceSpec], overlay: Overlay) -> set[str]:
    """The roles that the policies of these services ask for."""
    return {
        role
        for spec in specs
        for method in overlaid(spec, overlay).methods
        for role in _asked(method.policy.access)
    }


def _asked(access: Access) -> frozenset[str]:
    return access.roles | access.workload_roles | access.user_roles


def _limits(config: MeshConfig) -> Limits:
    given = config.limits
    return Limits(
        connections=given.max_connections,
        streams_per_connection=given.max_concurrent_streams,
        connection_age=given.max_connection_age,
        connection_age_grace=given.max_connection_age_grace,
        connection_idle=given.max_connection_idle,
        handshake=given.handshake_timeout,
    )


async def _count(registry: CollectorRegistry, lifeline: Lifeline) -> None:
    """Tell the supervisor how many calls have ended."""
    clock = asyncio.get_running_loop().time
    name = f"{METRIC}_count"
    before = clock()
    while lifeline.supervised:
        await asyncio.sleep(CALLS_PERIOD)
        total = sum(
            sample.value
            for metric in registry.collect()
            for sample in metric.samples
            if sample.name == name
        )
        now = clock()
        lifeline.report("calls", total=total, seconds=now - before)
        before = now


def serve_here(task: ProcessTask) -> None:
    """Serve in this process, without a supervisor; errors are the caller's."""
    logs.configure()
    loop.run(serve(task, Lifeline(None, None)))


def main(argv: Sequence[str], lifeline: Lifeline) -> int:
    """A process that the supervisor starts."""
    return run(serve(parsed("meshpact.servers.serving", argv), lifeline), lifeline)
