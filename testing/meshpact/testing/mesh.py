"""A mesh of mesh.yaml inside a test: real servers, real TLS, issued identities, one process.

async with LocalMesh("mesh.yaml", state=tmp_path, services=["inventory"]) as mesh:
    inventory = mesh.client(InventoryServiceClient, as_="store")
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, TypeVar, cast

import msgspec

from meshpact.certs.ca import LocalCA, write_svid
from meshpact.clients import CallError, Channel
from meshpact.interceptors.assemble import Assembled, guard_for
from meshpact.interceptors.spec import ServiceSpec
from meshpact.mesh.bindings import Reloader
from meshpact.mesh.config import Issuer, MeshConfig, load
from meshpact.mesh.local import at_state, prepare
from meshpact.mesh.overlay import load as load_overlay
from meshpact.mesh.state import State
from meshpact.servers import Drain, Server
from meshpact.servers.background import Job
from meshpact.servers.context import ServiceContext
from meshpact.servers.mount import Servicer
from meshpact.servers.process import find
from meshpact.servers.supervisor.ports import Reservation, reserve
from meshpact.testing.clock import Clock
from meshpact.testing.faults import Faults
from meshpact.testing.tokens import TokenIssuer

C = TypeVar("C", covariant=True)
Factory = Callable[[ServiceContext], Awaitable[Sequence[Servicer]]]
RECONNECTING: Final = 10.0
"""For how many seconds `start` waits for callers that lost their connection."""
_AT_ONCE = Drain(quiet=0.0, at_most=0.0, grace=0.0)


class ClientClass(Protocol[C]):
    """A generated client for asyncio, such as `InventoryServiceClient`."""

    def __call__(self, channel: Channel, /) -> C:
        """The client on a channel."""
        ...


class _Running(NamedTuple):
    """A service that runs."""

    stack: contextlib.AsyncExitStack
    assembled: Assembled
    context: ServiceContext


class LocalMesh:
    """The services of a mesh.yaml in this process, made by their factories, guarded as it says.

    `state` is an empty directory for keys, databases and audit trails. `services` are those to
    start (default: all with a factory); `servicers` stand in for factories, each a servicer or
    several. The issuers of mesh.yaml are replaced by ones of the same names whose tokens `token`
    mints, except `keep_issuers`: the mesh runs those itself. Enter it in a running event loop,
    whose timers go by `clock` from then on.

    MeshFileError for a faulty mesh.yaml, ValueError for names it does not have.
    """

    def __init__(
        self,
        mesh_file: Path | str,
        *,
        state: Path,
        services: Iterable[str] | None = None,
        servicers: Mapping[str, Servicer | Sequence[Servicer]] | None = None,
        storage: Callable[[str], str] | None = None,
        keep_issuers: Collection[str] = (),
    ) -> None:
        self.mesh_file = Path(mesh_file).resolve()
        self.state = State(state)
        self.clock = Clock()
        self.faults = Faults()
        self._given = dict(servicers or {})
        self._issuers: dict[str, TokenIssuer] = {}
        self._storage = storage
        self._kept = frozenset(keep_issuers)
        config = load(self.mesh_file)
        able = [name for name, each in config.services.items() if each.factory]
        self._names = list(able if services is None else services)
        self._names += [name for name in self._given if name not in self._names]
        for name in self._names:
            self._able(name, config, "services")
        self.config = config
        self.addresses: dict[str, str] = {}
        """Where each service listens, `host:port` by name; the same over restarts."""
        self._ports: list[Reservation] = []
        self._serving: dict[str, str] = {}
        self._running: dict[str, _Running] = {}
        self._callers: dict[str, ServiceContext] = {}
        self._ca: LocalCA | None = None
        self._issued: set[str] = set()

    async def __aenter__(self) -> LocalMesh:
        self.state.create()
        self.config = self._configured(self.config)
        self.clock.attach(asyncio.get_running_loop())
        try:
            self._ca = await asyncio.to_thread(prepare, self.state, self.config.domain)
            for name in self._names:
                self._reserve(name)
            for name in self._names:
                await self.start(name)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def start(self, service: str) -> None:
        """Start a service that was stopped, or left out at first; it keeps its address.

        ValueError when it runs already, or cannot.
        """
        self._able(service, self.config, "service")
        if service in self._running:
            raise ValueError(f"{service} runs already")
        self._reserve(service)
        again = service in self._serving.values()
        async with contextlib.AsyncExitStack() as stack:
            context = self._context(service)
            stack.push_async_callback(context.aclose)
            assembled = guard_for(
                self.config,
                service,
                identity=context.identity,
                bindings=Reloader(self.mesh_file),
                audit_path=self.state.audit / f"{service}.jsonl",
                clock=self.clock.monotonic,
                wall=self.clock.time,
            )
            stack.callback(assembled.close)
            overlay = self.config.overlay
            server = Server(
                identity=context.identity,
                guard=assembled.guard,
                address=self.addresses[service],
                overlay=load_overlay(overlay) if overlay else None,
                drain=_AT_ONCE,
            )
            for servicer in await self._servicers(service, context):
                server.add(self.faults.wrapped(servicer))
                self._serving[type(servicer).SPEC.name] = service
            await server.start()
            stack.push_async_callback(server.kill)
            context.ready()
            self._running[service] = _Running(stack.pop_all(), assembled, context)
        if again:
            await self._found_again(service)

    async def stop(self, service: str) -> None:
        """End a service as a crash would: calls that run are cut. `start` brings it back."""
        running = self._of(service)
        del self._running[service]
        await running.stack.aclose()

    def job(self, service: str, name: str) -> Job:
        """Work that a running service does in the background: `await mesh.job(...).run_now()`.

        ValueError when it does not run, or has none of that name.
        """
        return self._of(service).context.job(name)

    def client(self, kind: ClientClass[C], *, as_: str) -> C:
        """A generated client of the service that serves its contract, called as the workload `as_`.

        ValueError when mesh.yaml has no such workload, or no running service serves the contract.
        """
        spec = spec_of(kind)
        return kind(self.caller(as_).channel(self.server_of(spec), services=[spec]))

    def caller(self, as_: str) -> ServiceContext:
        """What a process of the workload `as_` would be given: channels, identity, addresses."""
        _check(as_, self.config, "as_")
        if as_ not in self._callers:
            self._callers[as_] = self._context(as_)
        return self._callers[as_]

    def server_of(self, spec: ServiceSpec) -> str:
        """The service of mesh.yaml that serves a service of a contract; ValueError without one."""
        if spec.name not in self._serving:
            there = ", ".join(sorted(self._serving)) or "none"
            raise ValueError(f"no service serves {spec.name}; served: {there}")
        return self._serving[spec.name]

    def token(
        self,
        user: str,
        *,
        scopes: Collection[str] = (),
        groups: Collection[str] = (),
        issuer: str = "",
        audience: str = "",
        lifetime: float = 600.0,
        claims: Mapping[str, object] | None = None,
    ) -> str:
        """An access token (RFC 9068) of `user`, for a call's `token=`.

        From the issuer of that name in mesh.yaml (default: the first), for `audience` (default: its
        first), valid for `lifetime` seconds by the clock of the mesh (negative: expired). `claims`
        are laid over the others; None leaves one out.
        """
        entries = {
            each.issuer: each for each in self.config.issuers if each.issuer not in self._kept
        }
        name = issuer or next(iter(entries), "")
        if name not in entries:
            known = ", ".join(entries) or "none"
            raise ValueError(f"issuer: found {issuer!r}; mesh.yaml has: {known}")
        entry, now = entries[name], int(self.clock.time())
        stated: dict[str, object] = {
            "groups": None,
            "iat": now - 60,
            "exp": now + int(lifetime),
            entry.groups_claim: list(groups),
        }
        return self._issuers[name].mint(
            user,
            audience=[audience or entry.audiences[0]],
            scopes=list(scopes),
            claims=stated | dict(claims or {}),
            header={"typ": entry.token_type.value},
        )

    async def audit(self, service: str) -> list[dict[str, Any]]:
        """The lines of a running service's audit trail so far, oldest first."""
        await asyncio.wrap_future(self._of(service).assembled.audit.flush())
        text = (self.state.audit / f"{service}.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def _able(self, service: str, config: MeshConfig, what: str) -> None:
        _check(service, config, what)
        if not config.services[service].factory and service not in self._given:
            raise ValueError(f"{what}: {service} has no factory; give it by servicers={{...}}")

    def _reserve(self, service: str) -> None:
        """Hold the address of a service until the mesh ends."""
        if service not in self.addresses:
            address = self.config.services[service].address or "127.0.0.1:0"
            self._ports.append(reserve(address, f"service {service}"))
            self.addresses[service] = self._ports[-1].address

    async def _found_again(self, service: str) -> None:
        """Waits for those who called it before: gRPC lets them fail for a second more."""
        callers = [*self._callers.values(), *(each.context for each in self._running.values())]
        with contextlib.suppress(CallError):  # some test may want it so
            await asyncio.gather(*(each.connected(service, RECONNECTING) for each in callers))

    def _of(self, service: str) -> _Running:
        if service not in self._running:
            raise ValueError(f"{service} does not run; running: {', '.join(self._running)}")
        return self._running[service]

    def _context(self, service: str) -> ServiceContext:
        if self._ca is None:
            raise RuntimeError("enter the mesh first: async with LocalMesh(...) as mesh")
        if service not in self._issued:
            svid = self._ca.issue(self.config.service_id(service))
            write_svid(self.state.identity(service), svid)
            self._issued.add(service)
        return ServiceContext(
            config=self.config,
            service=service,
            state=self.state,
            root=self.mesh_file.parent,
            addresses=self.addresses,
        )

    async def _servicers(self, service: str, context: ServiceContext) -> Sequence[Servicer]:
        if service in self._given:
            given = self._given[service]
            return given if isinstance(given, Sequence) else [given]
        place = f"{self.mesh_file}: services.{service}.factory"
        create = cast(
            "Factory", find(self.config.services[service].factory, self.mesh_file.parent, place)
        )
        return await create(context)

    def _configured(self, config: MeshConfig) -> MeshConfig:
        config = at_state(config, self.mesh_file, self.state)
        services = config.services
        if self._storage is not None:
            services = {
                name: msgspec.structs.replace(each, storage=self._storage(name))
                for name, each in services.items()
            }
        issuers = tuple(
            entry if entry.issuer in self._kept else self._replaced(entry)
            for entry in config.issuers
        )
        return msgspec.structs.replace(config, services=services, issuers=issuers)

    def _replaced(self, entry: Issuer) -> Issuer:
        """The issuer as one whose keys are here."""
        algorithm = entry.algorithms[0]
        made = TokenIssuer(entry.issuer, algorithm=algorithm)
        path = self.state.root / f"issuer-{len(self._issuers)}.json"
        self._issuers[entry.issuer] = made
        keys = made.write_jwks(path)
        return msgspec.structs.replace(
            entry, file=str(keys), jwks="", discovery="", introspection=""
        )

    async def _end(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self.clock.detach)
            for port in self._ports:
                stack.callback(port.release)
            for service in list(self._running):
                stack.push_async_callback(self.stop, service)
            for context in self._callers.values():
                stack.push_async_callback(context.aclose)
            self._callers = {}


def spec_of(client: object) -> ServiceSpec:
    """The contract's service behind a generated client class; ValueError for any other class."""
    name = str(getattr(client, "__name__", client)).removesuffix("Sync")
    module = importlib.import_module(str(getattr(client, "__module__", "builtins")))
    base = getattr(module, f"{name.removesuffix('Client')}Base", None)
    spec = getattr(base, "SPEC", None)
    if not isinstance(spec, ServiceSpec):
        raise ValueError(f"{name} is no generated client: give a class such as StoreServiceClient")
    return spec


def _check(name: str, config: MeshConfig, what: str) -> None:
    if name not in config.services:
        known = ", ".join(config.services) or "none"
        raise ValueError(f"{what}: found {name!r}; mesh.yaml has: {known}")
