"""From servicers to the one table that answers every path of a server; no IO, aio and sync alike.

Handlers go through one generic handler: grpc's table of registered methods costs each call time
in proportion to the methods registered.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, TypeAlias

import grpc

from meshpact.interceptors.policy import PolicyError
from meshpact.interceptors.spec import MethodSpec, ServiceSpec
from meshpact.servers.errors import ServerError, UnguardedError
from meshpact.servers.overlay import Overlay, overlaid

RpcHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Bound = Callable[..., Any]


class Servicer(Protocol):
    """What generated bases are: a spec, and one method by each of its methods' `attribute`."""

    SPEC: ClassVar[ServiceSpec]


class Mounts:
    """The servicers of one server, each service once, with the overlay's policies on them."""

    def __init__(self, overlay: Overlay, *, threads: bool) -> None:
        self._overlay = overlay
        self._threads = threads
        self._mounted: dict[str, tuple[ServiceSpec, Servicer]] = {}

    def add(self, servicer: Servicer) -> None:
        """Mounts a servicer; ServerError when it is none, or its service is there already."""
        spec = getattr(type(servicer), "SPEC", None)
        if not isinstance(spec, ServiceSpec):
            raise ServerError(
                f"{type(servicer).__name__} is no servicer: it has no SPEC. Derive it from a "
                "generated base, such as InventoryServiceBase."
            )
        if spec.name in self._mounted:
            raise ServerError(f"{spec.name} is mounted already: a server has each service once.")
        for method in spec.methods:
            self._check_flavour(servicer, method)
        self._mounted[spec.name] = (overlaid(spec, self._overlay), servicer)

    def _check_flavour(self, servicer: Servicer, method: MethodSpec[Any, Any]) -> None:
        bound = getattr(servicer, method.attribute, None)
        where = f"{type(servicer).__name__}.{method.attribute}"
        if not callable(bound):
            raise ServerError(f"{where} is missing: it implements {method.path}.")
        is_async = inspect.iscoroutinefunction(bound) or inspect.isasyncgenfunction(bound)
        if self._threads and is_async:
            raise ServerError(f"{where} is async, and ServerSync runs threads: mount it on Server.")
        if not self._threads and not method.response_streaming and not is_async:
            raise ServerError(
                f"{where} is not `async def`: write it so, or mount it on ServerSync."
            )

    @property
    def specs(self) -> list[ServiceSpec]:
        """Every service mounted, with its policies."""
        return [spec for spec, _ in self._mounted.values()]

    def check(self) -> None:
        """Raises UnguardedError with every method that has no sound policy."""
        found: list[PolicyError] = []
        for spec in self.specs:
            for method in spec.methods:
                try:
                    _ = method.policy
                except PolicyError as error:
                    found.append(error)
        if found:
            raise UnguardedError(found)

    def table(
        self, handler: Callable[[MethodSpec[Any, Any], Bound], RpcHandler]
    ) -> dict[str, RpcHandler]:
        """Path -> what answers it."""
        return {
            method.path: handler(method, getattr(servicer, method.attribute))
            for spec, servicer in self._mounted.values()
            for method in spec.methods
        }


class Table(grpc.GenericRpcHandler):
    """Looks a path up exactly as it came; counts arrivals, so that a drain can see quiet.

    Methods of the service `aside` (health) are not counted, and answered to the last.
    """

    def __init__(
        self,
        handlers: Mapping[str, RpcHandler],
        unknown: Callable[[str], RpcHandler | None],
        *,
        aside: str = "",
    ) -> None:
        self._handlers = handlers
        self._unknown = unknown
        self._aside = frozenset(path for path in handlers if path.startswith(f"/{aside}/"))
        self.arrived = 0
        """Calls so far."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> RpcHandler | None:
        """The handler of a call; what `unknown` says for a path that nobody registered."""
        path = handler_call_details.method
        if path not in self._aside:
            self.arrived += 1
        found = self._handlers.get(path)
        return self._unknown(path) if found is None else found

    def refuse(self, handler: RpcHandler) -> None:
        """Lets `handler` answer every call from now on, except those aside."""
        self._handlers = {
            path: each if path in self._aside else handler for path, each in self._handlers.items()
        }
