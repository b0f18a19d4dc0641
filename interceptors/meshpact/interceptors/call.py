"""One call as everybody downstream of the wire sees it: CallInfo (facts) and Call (its handle)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, Protocol

import msgspec

from meshpact.interceptors.policy import MethodPolicy
from meshpact.interceptors.tracecontext import TraceContext as TraceContext
from meshpact.interceptors.tracecontext import is_traceparent, parse_traceparent

MetadataValue = str | bytes
MetadataPairs = Sequence[tuple[str, MetadataValue]]


class Metadata(Mapping[str, MetadataValue]):
    """The metadata of a call, read-only; of a repeated key the first value, `all` gives each."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: MetadataPairs) -> None:
        self._pairs = pairs

    def __getitem__(self, key: str) -> MetadataValue:
        for name, value in self._pairs:
            if name == key:
                return value
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self._pairs))

    def __len__(self) -> int:
        return len({name for name, _ in self._pairs})

    def all(self, key: str) -> list[MetadataValue]:
        """Every value of a key, in the order sent."""
        return [value for name, value in self._pairs if name == key]

    def __repr__(self) -> str:
        return f"Metadata({sorted(self)})"  # values may be secrets


class EndUser(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The person behind a call, as a verified access token (RFC 9068) names them."""

    issuer: str
    subject: str
    audience: frozenset[str]
    scopes: frozenset[str]
    groups: frozenset[str]
    expires: float
    """Seconds since the epoch."""
    bound: bool = False
    """The token is bound to the certificate of the caller's connection (RFC 8705): it is worth
    nothing on another connection, so it is never forwarded."""

    def __repr__(self) -> str:
        return "EndUser()"  # what a token says stays out of logs


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who calls: the workload's SPIFFE ID ("" when there is none) and perhaps an end user."""

    workload: str
    user: EndUser | None = None


class Placed(Protocol):
    """A span of this process's own."""

    @property
    def traceparent(self) -> str:
        """The header for calls made under it."""
        ...


class CallInfo(msgspec.Struct, frozen=True):
    """The facts of one call. Made once by the guard; everything downstream reads it."""

    method: str
    """`/package.Service/Method`."""
    policy: MethodPolicy
    caller: Caller
    deadline: float
    """When the call must be over, on the clock of `time.monotonic`; `math.inf` for never."""
    pairs: MetadataPairs = ()
    """The metadata as it came; `metadata` is the view to read."""
    place: str | Placed = ""
    """Where the call stands in its trace: the `traceparent` that came, or what gives our own."""
    tracestate: str = ""

    def __repr__(self) -> str:
        return f"CallInfo({self.method})"

    @property
    def metadata(self) -> Metadata:
        """The metadata sent with the call."""
        return Metadata(self.pairs)

    @property
    def traceparent(self) -> str:
        """What calls made from here send on (W3C trace context), "" outside any trace."""
        place = self.place
        if isinstance(place, str):
            return place if is_traceparent(place) else ""
        return place.traceparent

    @property
    def trace(self) -> TraceContext | None:
        """The place of the call in its trace."""
        return parse_traceparent(self.traceparent, self.tracestate)


class Wire(Protocol):
    """What the guard reads of a grpc servicer context, aio and sync alike."""

    def invocation_metadata(self) -> Iterable[tuple[str, MetadataValue]] | None:
        """The request's metadata."""
        ...

    def auth_context(self) -> Mapping[str, Any]:
        """The TLS facts of the connection."""
        ...

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline, None without one."""
        ...

    def peer(self) -> str:
        """The address of the caller."""
        ...


class Call(msgspec.Struct, eq=False):
    """The handle of a call that a handler gets: who calls, how long is left, what to send along.

    A handler ends a call in error by raising (a generated error, or StatusError), never here.
    """

    info: CallInfo
    token: str = ""
    """The end user's verified access token, to pass on to a further call; "" without one."""
    wire: Wire | None = None
    """The servicer context of grpc."""
    trailing: MetadataPairs = ()

    @property
    def caller(self) -> Caller:
        """Who calls."""
        return self.info.caller

    @property
    def user(self) -> EndUser | None:
        """The verified person behind the call, None when the method asks for none."""
        return self.info.caller.user

    @property
    def peer(self) -> str:
        """The address the call came from, as grpc writes it (`ipv4:10.0.0.7:51234`)."""
        return self.wire.peer() if self.wire is not None else ""

    @property
    def metadata(self) -> Metadata:
        """The metadata sent with the call."""
        return self.info.metadata

    def time_remaining(self) -> float:
        """Seconds until the call's deadline (`math.inf` without one), never negative."""
        return max(0.0, self.info.deadline - time.monotonic())

    def set_trailing_metadata(self, pairs: MetadataPairs) -> None:
        """Metadata to send after the last response; replaces what was set before."""
        self.trailing = tuple(pairs)

    def __repr__(self) -> str:
        return f"Call({self.info.method})"


current_call: Final[ContextVar[Call | None]] = ContextVar("meshpact_call", default=None)
"""The call whose handler runs here: clients take deadline and trace context from it."""
