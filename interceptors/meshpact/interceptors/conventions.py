"""The names of OpenTelemetry's semantic conventions that Meshpact uses, in one place.

https://opentelemetry.io/docs/specs/semconv/rpc/ and /rpc/grpc/; names as of version 1.39.
"""

from __future__ import annotations

from typing import Final

from meshpact.interceptors.errors import Code

RPC_SYSTEM_NAME: Final = "rpc.system.name"
RPC_SYSTEM_GRPC: Final = "grpc"
RPC_METHOD: Final = "rpc.method"
RPC_METHOD_OTHER: Final = "_OTHER"
RPC_RESPONSE_STATUS_CODE: Final = "rpc.response.status_code"
ERROR_TYPE: Final = "error.type"
RPC_SERVER_CALL_DURATION: Final = "rpc.server.call.duration"
RPC_SERVER_CALL_DURATION_HELP: Final = "Measures the duration of an incoming Remote Procedure Call."
DURATION_BUCKETS: Final = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
"""Seconds; the boundaries that the conventions advise."""

AUDIT_DROPPED: Final = "meshpact_audit_lines_dropped"
AUDIT_DROPPED_HELP: Final = "Lines of the audit trail that could not be written."
AUDIT_FAILING: Final = "meshpact_audit_failing"
AUDIT_FAILING_HELP: Final = "1 while lines of the audit trail are being lost."

IDENTITY_EXPIRY: Final = "meshpact_identity_expiry_timestamp_seconds"
IDENTITY_EXPIRY_HELP: Final = "When the certificate of this process ends, since the epoch."

SERVER_ERRORS: Final = frozenset(
    {
        Code.UNKNOWN,
        Code.DEADLINE_EXCEEDED,
        Code.UNIMPLEMENTED,
        Code.INTERNAL,
        Code.UNAVAILABLE,
        Code.DATA_LOSS,
    }
)
"""Status codes that make a server span an error; the others are the caller's affair."""
