"""A failed call as JSON: the error object of https://google.aip.dev/193."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Final, cast

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

STATUS_DETAILS: Final = "grpc-status-details-bin"
EXIT_BASE: Final = 64
"""A failed call's exit code is this plus the status code's number, as grpcurl has it."""

HTTP: Final[Mapping[grpc.StatusCode, int]] = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
}
"""The HTTP code of each status (google/rpc/code.proto)."""

# The details that are written with their fields; importing them puts them into the default pool.
_KNOWN: Final = error_details_pb2.DESCRIPTOR.message_types_by_name


def error_object(
    code: grpc.StatusCode, message: str, trailing: Iterable[tuple[str, str | bytes]]
) -> dict[str, object]:
    """`{"error": {"code", "message", "status", "details"}}` of a status as it came off the wire."""
    details: list[dict[str, object]] = []
    for key, value in trailing:
        if key != STATUS_DETAILS or not isinstance(value, bytes):
            continue
        try:
            status = status_pb2.Status.FromString(value)
        except DecodeError:
            continue
        message = status.message or message
        details += [_detail(each) for each in status.details]
    return {
        "error": {
            "code": HTTP[code],
            "message": message,
            "status": code.name,
            "details": details,
        }
    }


def exit_code(code: grpc.StatusCode) -> int:
    """64 and the number of the status code."""
    number: int = code.value[0]
    return EXIT_BASE + number


def _detail(detail: Any) -> dict[str, object]:
    try:
        told: dict[str, object] = dict(MessageToDict(detail))
    except (TypeError, DecodeError, ValueError):
        raw = base64.b64encode(detail.value).decode()
        return {"@type": detail.type_url, "value": raw}
    if isinstance(metadata := told.get("metadata"), dict):
        # A map has no order of its own.
        told["metadata"] = dict(sorted(cast("dict[str, object]", metadata).items()))
    return told
