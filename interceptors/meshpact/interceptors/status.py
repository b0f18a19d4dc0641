"""The funnel: whatever ends a call becomes one google.rpc.Status."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from meshpact.interceptors import errors
from meshpact.interceptors.call import MetadataPairs
from meshpact.interceptors.errors import ContractError, StatusError, UpstreamError

DETAILS_KEY: Final = "grpc-status-details-bin"
MAX_TEXT: Final = 1024
"""Characters of a message on the wire; the rest is cut, so that trailers fit every client."""
MAX_DETAILS: Final = 4096
"""Bytes of google.rpc.Status on the wire; past it all but ErrorInfo is left out."""

log = logging.getLogger("meshpact.calls")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call that failed ends: what observers see (`error`) and what goes on the wire."""

    error: StatusError
    trailing: MetadataPairs

    @property
    def code(self) -> grpc.StatusCode:
        """The status code."""
        return self.error.code

    @property
    def details(self) -> str:
        """The text of `grpc-message`."""
        return self.error.message[:MAX_TEXT]


def funnel(
    raised: BaseException, declared: Collection[type[ContractError]], method: str
) -> StatusError:
    """The StatusError that a caller may see of whatever ended a handler.

    A StatusError is its own answer, a ContractError only when the method's policy lists it. A
    failed call to another service passes on as the answer that it brings, or as UNAVAILABLE or
    DEADLINE_EXCEEDED where it was that. All else is masked, and logged whole under the correlation
    ID that the caller gets.
    """
    if isinstance(raised, ContractError):
        if type(raised) in declared:
            return raised
        return masked(
            raised, method, f"raised {raised.reason}, which the policy's `errors` do not list"
        )
    if isinstance(raised, StatusError):
        return raised
    if isinstance(raised, asyncio.CancelledError):
        return StatusError(errors.Code.CANCELLED, "Cancelled", domain=errors.DOMAIN)
    if isinstance(raised, UpstreamError) and raised.answer is not None:
        return raised.answer
    if isinstance(raised, UpstreamError) and raised.code in (
        errors.Code.UNAVAILABLE,
        errors.Code.DEADLINE_EXCEEDED,
    ):
        log.warning("%s failed: %s", method, raised)
        return StatusError(
            raised.code,
            "A service that this call depends on did not answer",
            reason="DEPENDENCY_FAILED",
            domain=errors.DOMAIN,
        )
    return masked(raised, method, "raised an unexpected exception")


def masked(raised: BaseException, method: str, what: str) -> StatusError:
    """Logs an exception whole and gives the caller nothing but a correlation ID."""
    correlation = secrets.token_hex(8)
    log.error("%s %s (correlation ID %s)", method, what, correlation, exc_info=raised)
    return StatusError(
        errors.MASKED.code,
        f"Internal error; the service's log has it under correlation ID {correlation}",
        reason=errors.MASKED.name,
        domain=errors.DOMAIN,
        metadata={"correlation_id": correlation},
    )


def ending(error: StatusError, service: str, trailing: MetadataPairs = ()) -> Ending:
    """What goes on the wire for an error: its Status in trailing metadata, bounded in size.

    A handler of an adopted server may have set a Status of its own, which then stands.
    """
    if any(key == DETAILS_KEY for key, _ in trailing):
        return Ending(error, trailing)
    status = to_status(error, service)
    if status.ByteSize() > MAX_DETAILS:
        del status.details[1:]
        if status.ByteSize() > MAX_DETAILS:
            del status.details[:]
            status.details.append(_pack(_info(error, service, with_metadata=False)))
    return Ending(error, (*trailing, (DETAILS_KEY, status.SerializeToString())))


def to_status(error: StatusError, service: str) -> status_pb2.Status:
    """The google.rpc.Status of an error: ErrorInfo first, then what else applies (AIP-193)."""
    details: list[Message] = [_info(error, service)]
    if error.fields:
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=field, description=description, reason=reason
                    )
                    for field, description, reason in error.fields
                ]
            )
        )
    if error.quota is not None:
        subject, description = error.quota
        details.append(
            error_details_pb2.QuotaFailure(
                violations=[
                    error_details_pb2.QuotaFailure.Violation(
                        subject=subject, description=description
                    )
                ]
            )
        )
    if error.retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(
        code=error.code.value[0],
        message=error.message[:MAX_TEXT],
        details=[_pack(detail) for detail in details],
    )


def _info(
    error: StatusError, service: str, *, with_metadata: bool = True
) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(
        reason=error.reason,
        domain=error.domain or service,
        metadata=error.metadata if with_metadata else {},
    )


def _pack(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
