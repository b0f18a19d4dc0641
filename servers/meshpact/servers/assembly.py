"""What both servers are before they run: settings, servicers, and what is made of them; no IO."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Final, NotRequired, TypedDict, Unpack

from meshpact.certs.expiry import Expiry, ExpiryWatch, Stage
from meshpact.certs.source import IdentitySource
from meshpact.interceptors.guard import Guard
from meshpact.interceptors.spec import MethodSpec
from meshpact.servers import address as addresses
from meshpact.servers.drain import Drain, pauses
from meshpact.servers.errors import ServerError
from meshpact.servers.health import NOT_SERVING, SERVING, Statuses
from meshpact.servers.mount import Bound, Mounts, RpcHandler, Servicer, Table
from meshpact.servers.options import Limits, arguments
from meshpact.servers.overlay import HEALTH, REFLECTION, Overlay
from meshpact.servers.reflection import REFLECTION_V1, REFLECTION_V1ALPHA, Catalog

_SERVER: Final = "the server"
_HEALTH_SERVER: Final = "its health server"


class Settings(TypedDict):
    """What a server can be told; `meshpact.servers.Server` says what each means."""

    identity: IdentitySource
    guard: Guard
    address: NotRequired[str]
    health_address: NotRequired[str | None]
    strict: NotRequired[bool]
    reflection: NotRequired[bool]
    overlay: NotRequired[Overlay | None]
    limits: NotRequired[Limits | None]
    drain: NotRequired[Drain | None]
    options: NotRequired[Sequence[tuple[str, Any]]]


class Assembly(abc.ABC):
    """Base of `Server` and `ServerSync`."""

    THREADED: ClassVar[bool]

    def __init__(self, **settings: Unpack[Settings]) -> None:
        self._identity = settings["identity"]
        self._guard = settings["guard"]
        self._asked = settings.get("address", "127.0.0.1:0")
        self._health_asked = settings.get("health_address")
        self._strict = settings.get("strict", False)
        self._reflection = settings.get("reflection", True)
        self._limits = settings.get("limits") or Limits()
        self._drain = settings.get("drain") or Drain()
        self._options = tuple(settings.get("options", ()))
        self._mounts = Mounts(settings.get("overlay") or {}, threads=self.THREADED)
        self._table = Table({}, lambda _path: None)
        self._begun = False
        self.statuses: Final = Statuses()
        """The health that is told, for programs that know more about it."""
        self.expiry: Final = ExpiryWatch(self._identity)
        """Watches the identity while the server runs; subscribe before the start."""
        self.expiry.subscribe(self._look_at_expiry)
        self.address = ""
        """Where it listens, with the port that was bound; "" before the start."""
        self.health_address = ""
        """Where the plaintext health server listens; "" without one."""

    def add(self, servicer: Servicer) -> None:
        """Mounts a servicer (an implementation of a generated base); before the start.

        Raises ServerError when it is no servicer for this kind of server, or its service is there
        already.
        """
        if self._begun:
            raise ServerError("The server was started: mount servicers before that.")
        self._mounts.add(servicer)

    @abc.abstractmethod
    def _handler(self, spec: MethodSpec[Any, Any], bound: Bound) -> RpcHandler:
        """A method under the guard."""

    @abc.abstractmethod
    def _unknown(self, path: str) -> RpcHandler:
        """What answers a path that nobody registered."""

    @abc.abstractmethod
    def _health(self) -> Servicer:
        """The health service of this kind of server."""

    @abc.abstractmethod
    def _reflections(self, catalog: Catalog) -> Sequence[Servicer]:
        """The reflection services of this kind of server."""

    @abc.abstractmethod
    def _refusal(self) -> RpcHandler:
        """What answers calls that come too late."""

    def _look_at_expiry(self, found: Expiry) -> None:
        self.statuses.identity(
            SERVING if found.stage is Stage.SOUND else NOT_SERVING,
            expired=found.stage is Stage.EXPIRED,
        )

    def _pauses(self) -> Iterator[float]:
        """The sleeps of a drain."""
        table = self._table
        return pauses(self._drain, lambda: table.arrived, lambda: table.refuse(self._refusal()))

    def _assemble(self) -> list[tuple[str, Any]]:
        """Makes the table of handlers; returns grpc's channel arguments. Once.

        Raises UnguardedError and ServerError before anything is opened.
        """
        if self._begun:
            raise ServerError("The server was started before: make a new one.")
        self._begun = True
        self._mount_own()
        self._mounts.check()
        addresses.check(self._asked, _SERVER)
        if self._health_asked is not None:
            addresses.check(self._health_asked, _HEALTH_SERVER)
        self._table = Table(self._mounts.table(self._handler), self._unknown, aside=HEALTH)
        return [*arguments(self._limits, self._mounts.specs), *self._options]

    def _mount_own(self) -> None:
        served = self._mounts.specs
        mounted = {spec.name for spec in served}
        for spec in served:
            self.statuses.add(spec.name)
        if HEALTH not in mounted:
            self._mounts.add(self._health())
        if self._reflection and not mounted & set(REFLECTION):
            shown = [*self._mounts.specs, REFLECTION_V1, REFLECTION_V1ALPHA]
            for servicer in self._reflections(Catalog(spec.descriptor for spec in shown)):
                self._mounts.add(servicer)

    def _bind(self, add_port: Callable[[str], int]) -> int:
        port = addresses.bind(self._asked, _SERVER, add_port)
        self.address = addresses.joined(self._asked, port)
        return port

    def _bind_health(self, add_port: Callable[[str], int]) -> None:
        if self._health_asked is not None:
            port = addresses.bind(self._health_asked, _HEALTH_SERVER, add_port)
            self.health_address = addresses.joined(self._health_asked, port)
