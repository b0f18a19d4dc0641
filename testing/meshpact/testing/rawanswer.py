"""What a raw HTTP/2 gRPC call was answered with, read from the bytes alone.

`Answer` says how the stream ended, and reads grpc-status, grpc-message and google.rpc.Status
(https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) without trusting the sender.
"""

from __future__ import annotations

import base64
import binascii
import enum
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import unquote_to_bytes

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

Header = tuple[bytes, bytes]

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class Ended(enum.Enum):
    """How a stream came to its end."""

    TRAILERS = "trailers"
    """The server closed it with a header block: the orderly end."""
    RESET = "reset"
    """RST_STREAM by the server."""
    GOAWAY = "goaway"
    """The server will not process the stream."""
    CLOSED = "closed"
    """The connection went away first."""
    TIMEOUT = "timeout"
    """Nothing ended it in the time given."""


@dataclass(frozen=True)
class Answer:
    """All that came back on one stream.

    `headers` is the first header block (empty for a trailers-only answer), `trailers` the last;
    `body` the raw bytes of all DATA frames; `seconds` counts from the request to the end.
    """

    ended: Ended
    headers: tuple[Header, ...]
    trailers: tuple[Header, ...]
    body: bytes
    seconds: float
    error_code: int | None = None
    """HTTP/2 error code of RST_STREAM or GOAWAY (RFC 9113 section 7)."""
    goaway: bytes = b""
    """Debug data of a GOAWAY frame."""

    def trailer(self, name: bytes) -> bytes | None:
        """The first trailer of that name."""
        return next((value for key, value in self.trailers if key == name), None)

    @cached_property
    def http_status(self) -> int | None:
        """The HTTP status (`:status`), None when no header block came."""
        for key, value in self.headers or self.trailers:
            if key == b":status":
                return int(value)
        return None

    @cached_property
    def code(self) -> grpc.StatusCode | None:
        """grpc-status, None when none was sent."""
        value = self.trailer(b"grpc-status")
        return _CODES.get(int(value)) if value is not None and value.isdigit() else None

    @cached_property
    def message(self) -> str:
        """grpc-message, percent-decoded."""
        value = self.trailer(b"grpc-message") or b""
        return unquote_to_bytes(value).decode("utf-8", "replace")

    @cached_property
    def status(self) -> status_pb2.Status | None:
        """google.rpc.Status of `grpc-status-details-bin`; None when absent or unreadable."""
        value = self.trailer(b"grpc-status-details-bin")
        if value is None:
            return None
        try:
            raw = base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
            return status_pb2.Status.FromString(raw)
        except (binascii.Error, DecodeError):
            return None

    @cached_property
    def error_info(self) -> error_details_pb2.ErrorInfo | None:
        """The google.rpc.ErrorInfo among the details."""
        if self.status is not None:
            for detail in self.status.details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info
        return None

    @property
    def reason(self) -> str:
        """ErrorInfo.reason; "" without one."""
        return self.error_info.reason if self.error_info is not None else ""

    @property
    def domain(self) -> str:
        """ErrorInfo.domain; "" without one."""
        return self.error_info.domain if self.error_info is not None else ""

    @cached_property
    def messages(self) -> tuple[bytes, ...]:
        """The bodies of the whole messages received."""
        found: list[bytes] = []
        rest = self.body
        while len(rest) >= 5:
            size = int.from_bytes(rest[1:5], "big")
            if len(rest) < 5 + size:
                break
            found.append(rest[5 : 5 + size])
            rest = rest[5 + size :]
        return tuple(found)

    def __str__(self) -> str:
        code = self.code.name if self.code is not None else "no status"
        parts = [self.ended.value, code, self.reason or "no reason", repr(self.message)]
        if self.http_status not in (200, None):
            parts.append(f"HTTP {self.http_status}")
        if self.error_code is not None:
            parts.append(f"HTTP/2 error {self.error_code}")
        return ", ".join(parts) + f", after {self.seconds:.2f} s"
