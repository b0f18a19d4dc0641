"""What both adapters share for servers that Meshpact does not assemble: policies found by path,
and a servicer context that leads every ending of a handler into the funnel."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from threading import Lock
from types import TracebackType
from typing import Any, Final, NoReturn, TypeAlias

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message_factory import GetMessageClass

from meshpact.interceptors.adapter import Adapter, Handler
from meshpact.interceptors.call import Call, MetadataPairs
from meshpact.interceptors.errors import Code, ContractError, StatusError
from meshpact.interceptors.guard import Guard, GuardedMethod
from meshpact.interceptors.policy import PolicyError
from meshpact.interceptors.spec import MethodSpec
from meshpact.policy.v1.policy_pb2 import Policy

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

RpcHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Overlay = Mapping[str, Policy]
"""Policies of methods by path (`/package.Service/Method`), for contracts one does not own."""


def find_method(path: str, overlay: Overlay) -> MethodSpec[Any, Any] | None:
    """The method of a path among the contracts that this process has loaded; None when there is
    none, or none with a sound policy: what has no policy is not served."""
    service, _, name = path.removeprefix("/").partition("/")
    try:
        descriptor = descriptor_pool.Default().FindServiceByName(service)
    except KeyError:
        return None
    method = descriptor.methods_by_name.get(name)
    if method is None or path != f"/{service}/{name}":
        return None
    spec: MethodSpec[Any, Any] = MethodSpec(
        method,
        name,
        GetMessageClass(method.input_type),
        GetMessageClass(method.output_type),
        overlay=overlay.get(path),
    )
    try:
        return replace(spec, errors=_declared(spec.policy.errors))
    except PolicyError:
        return None


def _declared(names: Collection[str]) -> tuple[type[ContractError], ...]:
    """The loaded exceptions that a policy lists, by reason or by an enum value's full name."""
    return tuple(
        error
        for error in ContractError.known()
        if any(
            name == error.REASON or ("." in name and name.endswith(f"_{error.REASON}"))
            for name in names
        )
    )


class AdoptedContext:
    """The servicer context of an adopted handler: grpc's own, but no status leaves past the guard.

    `abort` raises a StatusError; a code set without aborting is raised at the end of `with`.
    """

    def __init__(self, method: GuardedMethod, call: Call) -> None:
        self._method = method
        self._call = call
        self._context: Any = call.wire
        self._code: grpc.StatusCode | None = None
        self._details = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: MetadataPairs = ()
    ) -> NoReturn:
        """Ends the call."""
        if trailing_metadata:
            self._call.set_trailing_metadata(trailing_metadata)
        raise StatusError(code, details)

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """Ends the call with a status made by grpc_status."""
        self.abort(status.code, status.details or "", tuple(status.trailing_metadata or ()))

    def set_code(self, code: grpc.StatusCode | int) -> None:
        """The code that the call ends with."""
        self._code = code if isinstance(code, grpc.StatusCode) else _CODES[code]

    def set_details(self, details: str) -> None:
        """The text that the call ends with."""
        self._details = details

    def code(self) -> grpc.StatusCode | None:
        """The code set so far."""
        return self._code

    def details(self) -> str:
        """The text set so far."""
        return self._details

    def set_trailing_metadata(self, trailing_metadata: MetadataPairs) -> None:
        """What is sent after the last response."""
        self._call.set_trailing_metadata(trailing_metadata)

    def trailing_metadata(self) -> MetadataPairs:
        """The trailing metadata set so far."""
        return self._call.trailing

    def __enter__(self) -> None:
        """Around the handler: see `__exit__`."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raises the status that the handler set without aborting.

        Also in place of NotImplementedError: generated servicers set UNIMPLEMENTED and raise it
        for methods that nobody wrote.
        """
        if kind is not None and not issubclass(kind, NotImplementedError):
            return
        if self._code not in (None, Code.OK):
            assert self._code is not None
            raise StatusError(self._code, self._details)


class Adopter:
    """Puts a guard before handlers that a server has already, each method's policy compiled once.

    `adopted` makes of a handler of grpc's own kind (request, context) one of ours (request, call).
    """

    def __init__(
        self,
        guard: Guard,
        overlay: Overlay,
        adapter: Adapter,
        adopted: Callable[[GuardedMethod, Any], Handler],
    ) -> None:
        self._guard = guard
        self._overlay = overlay
        self._adapter = adapter
        self._adopted = adopted
        self._methods: dict[str, GuardedMethod] = {}
        self._handlers: dict[str, tuple[object, RpcHandler]] = {}
        self._lock = Lock()

    def handler(self, path: str, found: RpcHandler | None) -> RpcHandler:
        """What answers a path for which the server found a handler, or none."""
        known = self._handlers.get(path)
        if known is not None and known[0] is found:
            return known[1]
        method = self._method(path) if found is not None else None
        if found is None or method is None:
            return self._adapter.unknown(self._guard, path)
        guarded = self._adapter.guarded(
            method,
            self._adopted(method, found),
            request_streaming=found.request_streaming,
            response_streaming=found.response_streaming,
        )
        self._handlers[path] = found, guarded
        return guarded

    def _method(self, path: str) -> GuardedMethod | None:
        # Only methods are remembered: paths are the callers' to choose, and without end.
        with self._lock:
            if path not in self._methods:
                spec = find_method(path, self._overlay)
                if spec is None:
                    return None
                self._methods[path] = self._guard.compile(spec)
            return self._methods[path]
