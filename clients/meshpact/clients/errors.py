"""What a failed call raises at its caller: the contract's own error, or CallError.

`failure` turns a status as it came off the wire into one of the two.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from meshpact.interceptors.call import current_call
from meshpact.interceptors.errors import (
    DOMAIN,
    TOKEN_EXPIRED,
    ContractError,
    FieldViolation,
    MeshpactError,
    Reason,
    StatusError,
    UpstreamError,
)

STATUS_DETAILS: Final = "grpc-status-details-bin"
"""Trailing metadata that carries google.rpc.Status."""

SKEW: Final = 60.0
"""Seconds by which another service's clock may be ahead when it finds a token expired."""


class CallError(UpstreamError):
    """A call failed, and not with an error that a loaded contract defines.

    `reason` and `domain` come from google.rpc.ErrorInfo and are empty when the status had none
    (proxies, C-core, other stacks). `fields` come from BadRequest, `retry_after` (seconds) from
    RetryInfo. `details` holds every detail as it came, to unpack what is not named here.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        domain: str = "",
        metadata: Mapping[str, str] | None = None,
        fields: tuple[FieldViolation, ...] = (),
        retry_after: float | None = None,
        details: status_pb2.Status | None = None,
        method: str = "",
    ) -> None:
        super().__init__(code, message)
        self.message = message
        self.reason = reason
        self.domain = domain
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.fields = fields
        self.retry_after = retry_after
        self.details = details
        self.method = method

    def explain(self, why: str) -> None:
        """Lets the message begin with a better reason than the one that came."""
        if why:
            self.message = f"{why} [{self.message}]"
            self.args = (self.message,)

    def __str__(self) -> str:
        where = f"{self.method}: " if self.method else ""
        why = f" {self.reason}" if self.reason and self.reason != self.code.name else ""
        return f"{where}{self.code.name}{why}: {self.message}"


def own(reason: Reason, message: str, method: str) -> CallError:
    """A failure that this side finds before the call reaches the wire."""
    return CallError(
        reason.code, message, reason=reason.name, domain=DOMAIN, method=method.removeprefix("/")
    )


def expired(method: str) -> CallError:
    """The token of the end user of the current call, which is to be passed on, has expired."""
    error = own(
        TOKEN_EXPIRED,
        "The end user's token has expired while their call was served: it was not passed on.",
        method,
    )
    error.answer = _refresh()
    return error


def _refresh() -> StatusError:
    return StatusError(
        TOKEN_EXPIRED.code,
        "Unauthenticated: the token has expired",
        reason=TOKEN_EXPIRED.name,
        domain=DOMAIN,
    )


def closed(method: str) -> CallError:
    """The channel was closed before or while the call ran."""
    return CallError(
        grpc.StatusCode.CANCELLED,
        "The channel of this client is closed: make the call on an open one.",
        method=method.removeprefix("/"),
    )


def cut(method: str) -> CallError:
    """The call outlived its connection's identity by more than a channel allows."""
    return CallError(
        grpc.StatusCode.CANCELLED,
        "This workload has a new certificate, and the connection of the old one was closed before "
        "the call had ended: make the call again, or allow more by Rotation(drain=..., alive=...).",
        method=method.removeprefix("/"),
    )


def not_ready(target: str, timeout: float, why: str) -> CallError:
    """No connection came up in time; `why` may be empty."""
    unknown = "see that the service runs there, and that each side trusts the other's certificate"
    return CallError(
        grpc.StatusCode.UNAVAILABLE,
        f"No connection to {target or 'the target'} within {timeout:g} s: {why or unknown}.",
    )


def undecodable(method: str, kind: str) -> CallError:
    """What came back is not a message of the contract."""
    return CallError(
        grpc.StatusCode.INTERNAL,
        f"The response does not parse as {kind}: the two sides have different contracts.",
        method=method.removeprefix("/"),
    )


def failure(
    method: str,
    code: grpc.StatusCode,
    message: str,
    trailing: Iterable[tuple[str, str | bytes]],
) -> MeshpactError:
    """The exception for a status other than OK, as its caller shall see it.

    `method` is `/package.Service/Method`. Details that do not parse, or that contradict the
    status code, are not trusted: the error then has none.
    """
    status = _status(code, trailing)
    reason, domain = "", ""
    metadata: Mapping[str, str] = {}
    fields: tuple[FieldViolation, ...] = ()
    retry_after: float | None = None
    if status is not None:
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            bad = error_details_pb2.BadRequest()
            retry = error_details_pb2.RetryInfo()
            try:
                if detail.Unpack(info):
                    reason, domain, metadata = info.reason, info.domain, dict(info.metadata)
                elif detail.Unpack(bad):
                    fields = tuple(
                        FieldViolation(v.field, v.description, v.reason)
                        for v in bad.field_violations
                    )
                elif detail.Unpack(retry):
                    retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
            except DecodeError:
                continue
        known = ContractError.of(domain, reason)
        if known is not None and known.CODE is code:
            error = known.received(message, metadata)
            error.fields, error.retry_after = fields, retry_after
            return error
    raised = CallError(
        code,
        message,
        reason=reason,
        domain=domain,
        metadata=metadata,
        fields=fields,
        retry_after=retry_after,
        details=status,
        method=method.removeprefix("/"),
    )
    if reason == TOKEN_EXPIRED.name and domain == DOMAIN:
        call = current_call.get()
        user = call.user if call is not None else None
        if user is not None and user.expires <= time.time() + SKEW:
            raised.answer = _refresh()
    return raised


def _status(
    code: grpc.StatusCode, trailing: Iterable[tuple[str, str | bytes]]
) -> status_pb2.Status | None:
    for key, value in trailing:
        if key == STATUS_DETAILS and isinstance(value, bytes):
            try:
                status = status_pb2.Status.FromString(value)
            except DecodeError:
                return None
            number: int = code.value[0]
            return status if status.code == number else None
    return None
